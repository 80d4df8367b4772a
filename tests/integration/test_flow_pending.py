"""The flow `pending`: switched on, it extracts whatever is left, one after the other."""

import datetime as dt

from tests.deployed import Deployed


def test_the_schedule_fires_and_one_failure_stops_no_other(deployed: Deployed) -> None:
    bad = deployed.experiment("pending bad", sites=2)
    good = deployed.experiment("pending good", sites=2)
    (deployed.folder / "pending bad" / "plate_A01_s1_z0.tif").unlink()
    deployment = deployed.prefect.api("GET", "/deployments/name/pending/pending")
    (schedule,) = deployment["schedules"]
    assert schedule["slug"] == "every-night"
    assert not schedule["active"]

    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=12)
    nearly_now = {"interval": 86400, "anchor_date": soon.isoformat()}
    deployed.prefect.api("PATCH", path, {"active": True, "schedule": nearly_now})
    try:
        run = deployed.prefect.final_run("pending", lambda run: run["auto_scheduled"])
    finally:
        deployed.prefect.api("PATCH", path, {"active": False})

    assert run["state_type"] == "FAILED"
    assert "plate_A01_s1_z0.tif" in run["state"]["message"]
    assert len(deployed.planes(bad, "extracted")) == 3
    assert len(deployed.planes(good, "extracted")) == 4
    first, second = deployed.prefect.run_of(bad), deployed.prefect.run_of(good)
    assert first["end_time"] <= second["start_time"]
