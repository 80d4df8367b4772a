"""prefect.yaml says what we mean: Prefect itself ignores what it does not know."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.events import DeploymentEventTrigger
from prefect.utilities.importtools import import_object

import imextract

CHECKOUT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = PROJECT["deployments"]

TOP_LEVEL = {"name", "definitions", "deployments"}
KEYS = {
    "name", "description", "version", "tags", "entrypoint", "enforce_parameter_schema",
    "parameters", "work_pool", "triggers", "schedules",
}  # fmt: skip
SCHEDULE_KEYS = {"cron", "timezone", "slug", "active"}
WORK_POOL_KEYS = {"name", "work_queue_name", "job_variables"}

each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["entrypoint"])


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    found = import_object(deployment["entrypoint"])
    assert isinstance(found, Flow)
    return found


def test_the_file_has_only_keys_that_prefect_knows() -> None:
    assert set(PROJECT) <= TOP_LEVEL


def test_the_deployments_are_those_the_documents_name() -> None:
    names = {f"{flow_of(d).name}/{d['name']}" for d in DEPLOYMENTS}
    assert names == {"imextract/default", "register/default", "pending/pending"}


@each_deployment
def test_a_deployment_has_only_keys_that_prefect_knows(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= KEYS
    assert set(deployment["work_pool"]) <= WORK_POOL_KEYS
    assert set(deployment["work_pool"]["job_variables"]) == {"env"}


@each_deployment
def test_a_deployment_is_of_this_version(deployment: dict[str, Any]) -> None:
    assert deployment["version"] == imextract.__version__


@each_deployment
def test_parameters_are_parameters_of_the_flow(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    example: dict[str, object] = {"experiment_id": 1, "folder": "/data", "name": "plate"}
    required = {name: example[name] for name in flow.parameters.required or ()}
    flow.validate_parameters(required | deployment["parameters"])


@each_deployment
def test_schedules_have_slugs_and_wait_to_be_switched_on(deployment: dict[str, Any]) -> None:
    for schedule in deployment.get("schedules", []):
        assert set(schedule) == SCHEDULE_KEYS
        assert schedule["active"] is False
        cron = {key: schedule[key] for key in ("cron", "timezone")}
        DeploymentScheduleCreate.model_validate({"schedule": cron, "slug": schedule["slug"]})


@each_deployment
def test_triggers_are_triggers_that_prefect_understands(deployment: dict[str, Any]) -> None:
    for trigger in deployment.get("triggers", []):
        given = {key: value for key, value in trigger.items() if key != "type"}
        parsed = DeploymentEventTrigger.model_validate(given)
        assert set(given) <= set(DeploymentEventTrigger.model_fields)
        assert set(parsed.parameters or {}) <= set(flow_of(deployment).parameters.properties)


def test_no_module_is_named_like_a_package() -> None:
    # Prefect would load flows/NAME.py in the place of the package NAME.
    for path in [*(CHECKOUT / "flows").glob("*.py"), *(CHECKOUT / "tasks").glob("*.py")]:
        assert path.stem not in {"imextract", "prefect", "dask", "distributed", "flows", "tasks"}


def test_no_flow_or_task_spells_a_generic_state_at_run_time() -> None:
    # The class State[Any] belongs to the module that spells it first. Where
    # that is ours, Dask's scheduler and workers may not agree on it.
    code = (
        "import flows.pending, flows.registration\n"
        "from prefect.client.schemas.objects import State\n"
        "import typing\n"
        "print(State[typing.Any].__module__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.stdout.split(".")[0] in {"prefect", "__main__\n"}, done.stdout + done.stderr


def test_no_flow_or_task_postpones_its_annotations() -> None:
    # A served flow would then fail: its parameters could not be resolved.
    for path in [*(CHECKOUT / "flows").glob("*.py"), *(CHECKOUT / "tasks").glob("*.py")]:
        assert not re.search("from __future__ import annotations", path.read_text("utf-8")), path
