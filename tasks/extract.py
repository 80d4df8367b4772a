"""The task that extracts one batch of planes, on a Dask worker."""

from prefect import task

from imextract.batches import BatchResult, RunBatch
from imextract.extractor import ImageExtractor
from tasks.policy import POLICY

__all__ = ["extract"]


@task(name="extract", task_run_name="extract {batch.job}/{jobs}", **POLICY)
def extract(batch: RunBatch, jobs: int) -> BatchResult:  # noqa: ARG001 - `jobs` names the run
    """Extract the planes of one batch that are missing; a bad plane is counted, not raised."""
    return ImageExtractor(batch.experiment_id).run_job(batch)
