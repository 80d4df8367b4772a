"""Tasks that ask the ledger what there is to do."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from imextract.batches import ImextractBatchArguments, RunBatch
from imextract.extractor import ImageExtractor
from imextract.experiments import pending_experiments
from tasks.retrying import RETRIES, RETRY_DELAYS_S, is_worth_a_retry

__all__ = ["ask_ledger", "find_pending", "init"]


@task(
    name="init",
    task_run_name="init",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def init(experiment_id: int, arguments: ImextractBatchArguments) -> list[RunBatch]:
    """Split the planes that are still missing into batches."""
    return list(ImageExtractor(experiment_id).create_run_batches(arguments))


@task(
    name="ask ledger",
    task_run_name="ask ledger",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def ask_ledger(experiment_id: int, batches: list[RunBatch]) -> list[RunBatch]:
    """Give the batches with planes that are neither extracted nor failed."""
    return ImageExtractor(experiment_id).unfinished(batches)


@task(
    name="find pending",
    task_run_name="find pending",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def find_pending() -> list[int]:
    """Give the experiments that still have planes to extract."""
    return pending_experiments()
