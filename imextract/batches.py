"""What is asked of a job and what it answers: small values that travel.

They cross process borders and carry ids, never rows or pixels.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from imextract.compression import CompressionName
from imextract.lease import Lease

__all__ = [
    "BatchResult",
    "CollectBatch",
    "CollectResult",
    "ImextractBatchArguments",
    "RunBatch",
]


class ImextractBatchArguments(BaseModel):
    """Arguments that shape the jobs of one experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="At most this many acquisition sites per job; by default as many as make "
        "about half a minute of work.",
    )
    delete: bool = Field(
        default=False,
        description="Delete microscope files after their planes are extracted and proven.",
    )
    restart: bool = Field(
        default=False,
        description="Forget earlier output and extract everything again; refused when an "
        "original is gone or no longer gives what is stored.",
    )
    compression: CompressionName = Field(
        default="zstd", description="Preset by which planes are compressed."
    )
    workers: int = Field(
        default=1, ge=1, description="At least this many jobs, when there are sites enough."
    )


@dataclass(frozen=True, slots=True)
class RunBatch:
    """One run job: extract the planes of a batch. `job` counts from 1.

    `lease` is that of the run which the job is a part of; None for a job that
    is run by itself.
    """

    experiment_id: int
    batch_id: int
    job: int
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class CollectBatch:
    """The collect job: prove what was extracted and, if asked, free originals."""

    experiment_id: int
    batch_id: int
    delete: bool


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What one run job did.

    Attributes
    ----------
    planned
        Planes of the batch.
    extracted, already_there, failed
        Planes extracted now, found whole from before, and not extractable.
    bytes_in, bytes_out
        Raw pixel bytes and stored bytes of the planes extracted now.
    failures
        The first few failures, a line each.
    """

    job: int
    planned: int
    extracted: int
    already_there: int
    failed: int
    bytes_in: int
    bytes_out: int
    seconds: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectResult:
    """The state of the whole experiment after collect.

    Attributes
    ----------
    planned
        All planes of the experiment's plan.
    extracted, failed, absent, unfinished
        Planes by state; `unfinished` ones are still only planned.
    suspect
        Extracted planes of one constant value; they hold deletion.
    deleted_files, kept_files
        Microscope files deleted now, and still there.
    bytes_in, bytes_out
        Raw pixel bytes and stored bytes of all extracted planes.
    failures
        The first failed planes, a line each.
    notes
        What else a person should know, such as why files were kept.
    """

    planned: int
    extracted: int
    failed: int
    absent: int
    suspect: int
    unfinished: int
    deleted_files: int
    kept_files: int
    bytes_in: int
    bytes_out: int
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
