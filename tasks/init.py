"""Tasks that ask the ledger what there is to do."""

from prefect import task

from imextract.batches import ImextractBatchArguments, RunBatch
from imextract.experiments import pending_experiments
from imextract.extractor import ImageExtractor
from imextract.lease import Lease
from tasks.policy import POLICY

__all__ = ["ask_ledger", "find_pending", "init"]


@task(name="init", task_run_name="init", **POLICY)
def init(lease: Lease, arguments: ImextractBatchArguments) -> list[RunBatch]:
    """Split the planes that are still missing into batches."""
    extractor = ImageExtractor(lease.experiment_id, lease=lease)
    return list(extractor.create_run_batches(arguments))


@task(name="ask ledger", task_run_name="ask ledger", **POLICY)
def ask_ledger(experiment_id: int, batches: list[RunBatch]) -> list[RunBatch]:
    """Give the batches with planes that are neither extracted nor failed."""
    return ImageExtractor(experiment_id).unfinished(batches)


@task(name="find pending", task_run_name="find pending", **POLICY)
def find_pending() -> list[int]:
    """Give the experiments that still have planes to extract."""
    return pending_experiments()
