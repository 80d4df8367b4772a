"""The task that proves what was extracted and, if asked, frees originals."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from imextract.batches import CollectResult, ImextractBatchArguments
from imextract.extractor import ImageExtractor
from tasks.retrying import RETRIES, RETRY_DELAYS_S, is_worth_a_retry

__all__ = ["collect"]


@task(
    name="collect",
    task_run_name="collect",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def collect(experiment_id: int, arguments: ImextractBatchArguments) -> CollectResult:
    """Count the planes of the experiment by state; delete what is proven, if asked."""
    extractor = ImageExtractor(experiment_id)
    return extractor.collect_job_output(extractor.create_collect_batch(arguments))
