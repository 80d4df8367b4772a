"""The task that makes sure that no other run works on the experiment."""

from prefect import task

from imextract.extractor import ImageExtractor
from imextract.lease import Lease
from tasks.policy import POLICY

__all__ = ["claim"]


@task(name="claim", task_run_name="claim", **POLICY)
def claim(experiment_id: int, purpose: str) -> Lease:
    """Take the lease of the experiment, or say who holds it."""
    return ImageExtractor(experiment_id).take(purpose)
