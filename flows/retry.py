"""What a flow run has done before, when it is run once more."""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.runtime import flow_run

from tasks.init import init

__all__ = ["is_retry"]


def is_retry() -> bool:
    """Whether an earlier attempt of this flow run got past its init.

    Retry in the UI gives a run its parameters again. Those that throw work
    away must not be obeyed twice.
    """
    if flow_run.run_count <= 1:
        return False
    earlier = get_client(sync_client=True).read_task_runs(
        flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [UUID(flow_run.id)]}}),
        task_run_filter=TaskRunFilter.model_validate(
            {"name": {"any_": [init.name]}, "state": {"type": {"any_": ["COMPLETED"]}}}
        ),
        limit=1,
    )
    return bool(earlier)
