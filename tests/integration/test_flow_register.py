"""The flow `register`, and the event by which it starts the extraction."""

import json

from tests.deployed import PATTERN, Deployed


def test_registering_starts_the_extraction(deployed: Deployed) -> None:
    folder = deployed.images("triggered")

    done = deployed.prefect.run_deployment(
        "register/default", folder=str(folder), name="triggered", pattern=PATTERN
    )

    assert done["state_type"] == "COMPLETED", done["state"]
    run = deployed.prefect.final_run(
        "imextract", lambda run: (run["created_by"] or {}).get("type") == "AUTOMATION"
    )
    experiment = run["parameters"]["experiment_id"]
    assert run["state_type"] == "COMPLETED"
    assert len(deployed.planes(experiment, "extracted")) == 8


def test_a_dry_run_announces_nothing(deployed: Deployed) -> None:
    folder = deployed.images("dry", sites=1)

    done = deployed.prefect.run_deployment(
        "register/default", folder=str(folder), name="dry", pattern=PATTERN, dry_run=True
    )

    assert done["state_type"] == "COMPLETED", done["state"]
    events = deployed.prefect.api(
        "POST",
        "/events/filter",
        {"filter": {"event": {"name": ["imextract.experiment.registered"]}}},
    )
    assert "dry" not in json.dumps(events)


def test_a_folder_without_images_fails_the_run_by_name(deployed: Deployed) -> None:
    empty = deployed.folder / "empty"
    empty.mkdir()
    done = deployed.prefect.run_deployment("register/default", folder=str(empty), name="empty")
    assert done["state_type"] == "FAILED"
    assert str(empty) in deployed.prefect.runs("register")[0]["state"]["message"]
