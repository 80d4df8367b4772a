"""Which failures of a task are worth another attempt."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from imextract.errors import may_pass

__all__ = ["RETRIES", "RETRY_DELAYS_S", "is_worth_a_retry"]

RETRIES = 2
# Short: a Dask worker does nothing else while a task of it waits for its next attempt.
RETRY_DELAYS_S = [2.0, 10.0]


def is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Say whether what failed a task may pass: a storage or database hiccup, not a bad file."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, Exception) and may_pass(error)
