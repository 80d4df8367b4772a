"""The task that writes the plan of a folder's planes to the database."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)
from tasks.retrying import RETRIES, RETRY_DELAYS_S, is_worth_a_retry

__all__ = ["register_planes"]


@task(
    name="register planes",
    task_run_name="register planes",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def register_planes(request: RegistrationRequest) -> RegistrationResult:
    """Read a folder, check it and write its planes; all or nothing."""
    return register_folder(request)
