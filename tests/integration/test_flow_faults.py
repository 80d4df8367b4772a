"""The flow under attack: deadly files, a lost scheduler, a server that goes away, two runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from imextract.config import Settings
from imextract.database.batches import current_batches, runs_of_batch
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.workplace import Workplace
from scripts import prefect_stack
from tests.deployed import Deployed
from tests.poison import poisoned
from tests.prefect_server import PrefectServer, serving, wait_until

SMALL = {"workers": 2, "memory": 700, "batch_size": 1}
PATTERN = r"[a-z]+_(?P<w>[A-Z]\d\d)_s(?P<s>\d+)_z(?P<z>\d+)\.tif"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A server of our own, whose runs may die of files named poison…"""
    folder = tmp_path_factory.mktemp("attacked")
    environment = {
        "IMEXTRACT_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMEXTRACT_STORAGE_URL": str(folder / "planes"),
    }
    with serving(folder, environment | poisoned(folder / "poison")) as prefect:
        yield Deployed(Settings.from_environment(environment), folder, prefect)


def register(deployed: Deployed, name: str, special: dict[tuple[int, int], str]) -> int:
    """Register a folder of eight TIFF files, some of which are named for what they do."""
    folder = deployed.images(name)
    for (site, zplane), kind in special.items():
        path = folder / f"plate_A01_s{site}_z{zplane}.tif"
        path.rename(folder / path.name.replace("plate", kind))
    request = RegistrationRequest(folder=folder, name=name, pattern=PATTERN)
    experiment_id = register_folder(request, deployed.settings).experiment_id
    assert experiment_id is not None
    return experiment_id


def start(deployed: Deployed, experiment: int, **parameters: object) -> str:
    """Start a run, and give its id when its first plane is extracted."""
    run = deployed.prefect.start_run(
        "imextract/default", experiment_id=experiment, **SMALL | parameters
    )
    wait_until(lambda: deployed.planes(experiment, "extracted") or None, "the first plane")
    return run


def jobs_begun(deployed: Deployed, experiment: int) -> int:
    """Count the jobs of a run that a worker has begun."""
    with Workplace.of(deployed.settings).database.reading() as session:
        batches = current_batches(session, experiment, "run")
        return sum(bool(runs_of_batch(session, batch.id)) for batch in batches)


def test_files_that_kill_their_worker_every_time_are_named_and_all_others_extracted(
    deployed: Deployed,
) -> None:
    deadly = dict.fromkeys([(1, 0), (1, 1), (3, 0)], "poison")
    experiment = register(deployed, "deadly", deadly)

    run = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)

    assert run["state_type"] == "FAILED"
    assert "3 failed and 0 are not extracted" in run["state"]["message"]
    assert "poison_A01_s1_z0.tif" in run["state"]["message"]
    assert len(deployed.planes(experiment, "extracted")) == 5
    assert len(deployed.planes(experiment, "failed")) == 3


def test_a_second_run_is_refused_while_the_first_goes_on(deployed: Deployed) -> None:
    experiment = register(deployed, "twice", {(3, 1): "slow"})
    first = start(deployed, experiment, delete=True)

    second = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)
    (deployed.folder / "poison" / "go").touch()
    deployed.prefect.ended(first)
    (deployed.folder / "poison" / "go").unlink()

    runs = deployed.prefect.runs("imextract")
    ours = [run for run in runs if run["parameters"]["experiment_id"] == experiment]
    assert second["state_type"] == "FAILED"
    assert [run["state_type"] for run in ours] == ["FAILED", "COMPLETED"]
    assert f"worked on by flow run experiment-{experiment}" in ours[0]["state"]["message"]
    assert len(deployed.planes(experiment, "extracted")) == 8
    assert not list((deployed.folder / "twice").iterdir())


def test_a_killed_flow_does_not_stand_in_the_way_of_the_next(deployed: Deployed) -> None:
    experiment = register(deployed, "killed", {(3, 1): "slow"})
    first = start(deployed, experiment)
    _flow_process(deployed.prefect.worker_pid).kill()
    deployed.prefect.ended(first)
    (deployed.folder / "poison" / "go").touch()

    done = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)

    (deployed.folder / "poison" / "go").unlink()
    assert done["state_type"] == "COMPLETED", done["state"]
    assert len(deployed.planes(experiment, "extracted")) == 8


def test_a_run_goes_on_while_the_prefect_server_does_not_answer(deployed: Deployed) -> None:
    experiment = register(deployed, "unanswered", {(0, 0): "slow", (1, 0): "slow"})
    first = deployed.prefect.start_run("imextract/default", experiment_id=experiment, **SMALL)
    # A worker's first task asks the server for its version, with all of Prefect's patience.
    wait_until(lambda: jobs_begun(deployed, experiment) == 2 or None, "a job on each worker")
    server = _server(deployed.prefect)

    server.suspend()
    (deployed.folder / "poison" / "go").touch()
    try:
        wait_until(lambda: len(deployed.planes(experiment, "extracted")) == 8 or None, "all planes")
    finally:
        server.resume()
    run = deployed.prefect.ended(first)
    (deployed.folder / "poison" / "go").unlink()

    assert run["state_type"] == "COMPLETED", run["state"]


def test_a_lost_scheduler_ends_the_run_in_red_and_the_next_resumes(deployed: Deployed) -> None:
    experiment = register(deployed, "unscheduled", {(3, 1): "slow"})
    with _cluster(deployed) as (address, scheduler):
        lost = start(deployed, experiment, cluster=address)
        scheduler.kill()
        done = deployed.prefect.ended(lost)
    (deployed.folder / "poison" / "go").touch()

    assert done["state_type"] == "FAILED"
    done = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)
    assert done["state_type"] == "COMPLETED", done["state"]
    assert len(deployed.planes(experiment, "extracted")) == 8


@contextmanager
def _cluster(deployed: Deployed) -> Iterator[tuple[str, psutil.Process]]:
    """Start a Dask scheduler and a worker as somebody else's cluster has them."""
    environment = os.environ | {
        "IMEXTRACT_DATABASE_URL": deployed.settings.database_url,
        "IMEXTRACT_STORAGE_URL": deployed.settings.storage_url,
        "PYTHONPATH": deployed.prefect.environment["PYTHONPATH"],
    }
    address = f"tcp://127.0.0.1:{prefect_stack.free_port()}"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    port = address.rpartition(":")[2]
    with (
        subprocess.Popen([*dask, "scheduler", *local, "--port", port]) as scheduler,
        subprocess.Popen(
            [*dask, "worker", address, *local, "--nworkers", "2", "--nthreads", "1",
             "--death-timeout", "20"],
            env=environment,
        ) as worker,
    ):  # fmt: skip
        try:
            yield address, psutil.Process(scheduler.pid)
        finally:
            for process in (worker, scheduler):
                process.terminate()


def _flow_process(worker_pid: int) -> psutil.Process:
    """Find the process of the flow run that is underway."""
    family = psutil.Process(worker_pid).children(recursive=True)
    return next(process for process in family if "prefect.engine" in " ".join(process.cmdline()))


def _server(prefect: PrefectServer) -> psutil.Process:
    """Find the process that answers as the Prefect server."""
    port = int(prefect.environment["PREFECT_API_URL"].rpartition(":")[2].partition("/")[0])
    for process in psutil.process_iter():
        try:
            listening = process.net_connections("tcp")
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in listening):
            return process
    raise LookupError(f"nobody listens on port {port}")
