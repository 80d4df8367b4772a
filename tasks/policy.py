"""How every task of ours behaves: what is tried again, what is kept."""

from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from imextract.errors import may_pass

if TYPE_CHECKING:
    # Not at run time: the class State[Any] belongs to the first module that
    # spells it, and must be the same one in every process that it travels to.
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

__all__ = ["POLICY", "is_worth_a_retry"]


def is_worth_a_retry(_task: "Task[..., Any]", _run: "TaskRun", state: "State[Any]") -> bool:
    """Say whether what failed a task may pass: a storage or database hiccup, not a bad file."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, Exception) and may_pass(error)


POLICY: dict[str, Any] = {
    "retries": 2,
    # Short: a Dask worker does nothing else while a task of it waits for its next attempt.
    "retry_delay_seconds": [2.0, 10.0],
    "retry_condition_fn": is_worth_a_retry,
    # The ledger tells what a repeated task has still to do. A cache would not
    # notice that an output file has gone.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
