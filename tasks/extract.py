"""The task that extracts one batch of planes, on a Dask worker."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from imextract.batches import BatchResult, RunBatch
from imextract.extractor import ImageExtractor
from tasks.retrying import RETRIES, RETRY_DELAYS_S, is_worth_a_retry

__all__ = ["extract"]


# No Prefect caching: the ledger tells what a repeated batch still has to do,
# and a cache would not notice when an output file has gone.
@task(
    name="extract",
    task_run_name="extract {batch.job}/{jobs}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def extract(batch: RunBatch, jobs: int) -> BatchResult:  # noqa: ARG001 - `jobs` names the run
    """Extract the planes of one batch that are missing; a bad plane is counted, not raised."""
    return ImageExtractor(batch.experiment_id).run_job(batch)
