"""The flow `imextract` on a real SLURM: its workers are jobs, and lost ones are replaced."""

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from prefect_dask.task_runners import DaskTaskRunner

import flows.cluster
from flows import jobs, waves
from flows.cluster import WorkerSize
from imextract.errors import ConfigError
from tests import slurm
from tests.deployed import Deployed, pixels_of
from tests.prefect_server import wait_until
from tests.slurm import Slurm

# A SLURM job per worker; memory as small as a job can be.
SIZE = {"cluster": "slurm", "workers": 2, "memory": 700, "batch_size": 1, "duration": "00:10:00"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    """A SLURM that has not run a job."""
    if reason := slurm.what_is_missing():
        pytest.skip(reason)
    with slurm.serving() as cluster:
        yield cluster


def test_a_run_survives_the_loss_of_all_its_jobs(deployed: Deployed, cluster: Slurm) -> None:
    experiment = deployed.experiment("slurm", sites=8, zplanes=4, size=1024)
    run = deployed.prefect.start_run(
        "imextract/default", cluster.environment, experiment_id=experiment, **SIZE
    )
    wait_until(lambda: deployed.planes(experiment, "extracted") or None, "the first plane")
    cancelled = cluster.jobs()
    cluster.run("scancel", *cancelled)
    done = deployed.prefect.ended(run)

    assert done["state_type"] == "COMPLETED", done["state"]
    planes = deployed.planes(experiment, "extracted")
    assert len(planes) == 32
    for plane in planes:
        expected = pixels_of(plane.record.site, plane.record.zplane, 1024)
        np.testing.assert_array_equal(plane.get(), expected)
    # Every batch was done by a job, each cancelled one was replaced, and none is left.
    assert len(cancelled) == 2
    ended = cluster.jobs("all")
    assert len(ended) == 4
    log = "".join(cluster.error_log(job) for job in ended)
    assert {f"job {batch}: 4 of 4 planes to extract" in log for batch in range(1, 9)} == {True}
    assert cluster.jobs() == []


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        ("queue: nowhere", "sbatch takes no job: .*Invalid partition"),
        (
            "job_script_prologue: [echo no Java here >&2, exit 3]",
            "job [0-9]+ has ended and its worker is not there; the last line of .*: no Java here",
        ),
    ],
)
def test_nobody_waits_where_no_job_gets_as_far_as_a_worker(
    cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, reason: str
) -> None:
    (tmp_path / "slurm.yaml").write_text(
        f"{site}\nlog_directory: {tmp_path}\nsecurity: true\nshared_temp_directory: {tmp_path}\n"
    )
    monkeypatch.setattr(flows.cluster, "SETTINGS_FOLDER", tmp_path)
    monkeypatch.setattr(jobs, "LOOK_EVERY_S", 1.0)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    settings = flows.cluster.runner_settings("slurm", WorkerSize(1, 1, 700, "00:10:00"))

    with DaskTaskRunner(**settings) as runner:
        with pytest.raises(ConfigError, match=reason):
            waves._next(runner, SimpleQueue())
        assert len(list(tmp_path.glob(".dask-jobqueue.*"))) == 3

    assert cluster.jobs() == []
    assert list(tmp_path.glob(".dask-jobqueue.*")) == []
