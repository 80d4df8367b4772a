"""Parameters that make no sense never become a run."""

import httpx
import pytest

from tests.deployed import Deployed


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({}, "'experiment_id' is a required property"),
        ({"experiment_id": 0}, "0 is less than the minimum of 1"),
        ({"experiment_id": "abc"}, "'abc' is not of type 'integer'"),
        ({"experiment_id": 1, "batch_size": 0}, "0 is less than the minimum of 1"),
        ({"experiment_id": 1, "compression": "lzf"}, "'lzf' is not one of ['zstd', 'lz4'"),
        ({"experiment_id": 1, "duration": "6h"}, "'6h' does not match"),
        ({"experiment_id": 1, "cluster": "cloud"}, "'cloud' does not match"),
        ({"experiment_id": 1, "memory": 1}, "1 is less than the minimum of 512"),
        ({"experiment_id": 1, "workers": 0}, "0 is less than the minimum of 1"),
        ({"experiment_id": 1, "delete": "maybe"}, "'maybe' is not of type 'boolean'"),
    ],
    ids=str,
)
def test_nonsense_is_refused_and_named(
    deployed: Deployed, parameters: dict[str, object], complaint: str
) -> None:
    deployment = deployed.prefect.api("GET", "/deployments/name/imextract/default")
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        deployed.prefect.api(
            "POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters}
        )
    assert complaint in refusal.value.response.json()["detail"]


def test_the_command_line_refuses_in_one_line(deployed: Deployed) -> None:
    done = deployed.prefect.run_by_command("imextract/default", experiment_id=1, duration="6h")
    assert done.returncode == 1
    assert "'6h' does not match" in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr


def test_the_command_line_lists_the_parameters_there_are(deployed: Deployed) -> None:
    done = deployed.prefect.run_by_command("imextract/default", experiment_id=1, batchsize=3)
    assert done.returncode == 1
    assert "'batch_size'" in done.stdout


def test_the_form_describes_every_parameter(deployed: Deployed) -> None:
    for flow in ("imextract/default", "register/default", "pending/pending"):
        deployment = deployed.prefect.api("GET", f"/deployments/name/{flow}")
        for name, field in deployment["parameter_openapi_schema"]["properties"].items():
            assert field.get("description"), f"{flow}: {name}"
