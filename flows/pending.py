"""The flow `pending`: extract whatever experiment still has planes to extract."""

from prefect import flow

from flows.extraction import imextract
from flows.parameters import Cluster, Cores, Duration, Memory, Workers
from flows.reports import IncompleteExtractionError
from tasks.init import find_pending

__all__ = ["pending"]


@flow(name="pending", persist_result=False)
def pending(
    cores: Cores = 1,
    memory: Memory = 2147,
    duration: Duration = "06:00:00",
    workers: Workers | None = None,
    cluster: Cluster = "local",
) -> dict[str, list[int]]:
    """Extract every experiment that still has planes to extract, one after the other.

    Args:
        cores: Processor cores of one Dask worker.
        memory: Memory of one Dask worker in MB; half of it is the heap of Bio-Formats.
        duration: Longest life of one Dask worker on a cluster, as HH:MM:SS.
        workers: Number of Dask workers; empty for all cores of the machine.
        cluster: local, slurm, or the address of a running Dask scheduler (tcp://host:8786).
    """
    done: list[int] = []
    debts: list[str] = []
    for experiment_id in find_pending():
        state = imextract(
            experiment_id,
            cores=cores,
            memory=memory,
            duration=duration,
            workers=workers,
            cluster=cluster,
            return_state=True,
        )
        if state.is_completed():
            done.append(experiment_id)
        else:
            debts.append(state.message or f"experiment {experiment_id}: {state.name}")
    if debts:
        raise IncompleteExtractionError(
            f"{len(debts)} of {len(done) + len(debts)} experiments: " + " | ".join(debts)
        )
    return {"extracted": done}
