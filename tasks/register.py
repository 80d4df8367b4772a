"""The task that writes the plan of a folder's planes to the database."""

from prefect import task

from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)
from tasks.policy import POLICY

__all__ = ["register_planes"]


@task(name="register planes", task_run_name="register planes", **POLICY)
def register_planes(request: RegistrationRequest) -> RegistrationResult:
    """Read a folder, check it and write its planes; all or nothing."""
    return register_folder(request)
