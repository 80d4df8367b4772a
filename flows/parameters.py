"""Types of flow parameters, shared so that every form refuses the same nonsense.

Prefect shows their bounds in its form and checks them before a run starts.
What a run returns has its type here, too.
"""

from typing import Annotated

from pydantic import Field

__all__ = [
    "BatchSize",
    "Cluster",
    "Cores",
    "Duration",
    "ExperimentId",
    "Memory",
    "Summary",
    "Workers",
]

Summary = dict[str, int | float]

# Up to what a signed 32-bit column of PostgreSQL holds.
ExperimentId = Annotated[int, Field(ge=1, le=2_147_483_647)]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]
Cores = Annotated[int, Field(ge=1, le=1024)]
# A worker with Prefect, Dask and HDF5 loaded takes some 250 MB before its first plane.
Memory = Annotated[int, Field(ge=512, le=4_194_304)]
Duration = Annotated[str, Field(pattern=r"^[0-9]{2,3}:[0-5][0-9]:[0-5][0-9]$")]
Workers = Annotated[int, Field(ge=1, le=4096)]
Cluster = Annotated[
    str,
    Field(
        pattern=r"^(local|slurm|(tcp|tls)://[^\s/]+:[0-9]{1,5})$",
        examples=["local", "slurm", "tcp://scheduler.example.org:8786"],
    ),
]
