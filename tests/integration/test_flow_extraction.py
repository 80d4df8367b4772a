"""The flow `imextract` through its deployment: server, worker, Dask processes, real files."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import LocalCluster
from prefect_dask.task_runners import DaskTaskRunner
from sqlalchemy import update

from flows.cluster import WorkerSize, connect, let_workers_go, runner_settings
from imextract.database.models import MicroscopeImageFileRow
from imextract.workplace import Workplace
from tests.deployed import Deployed, pixels_of
from tests.prefect_server import wait_until

# Two small workers: the machine that tests has few cores.
SMALL = {"workers": 2, "memory": 700, "batch_size": 1}


@pytest.fixture(scope="module")
def extracted(deployed: Deployed) -> int:
    """An experiment that was extracted by a run of the deployment."""
    experiment = deployed.experiment("extracted")
    done = deployed.prefect.run_by_command("imextract/default", experiment_id=experiment, **SMALL)
    assert done.returncode == 0, done.stdout
    return experiment


def test_a_run_extracts_every_plane_and_leaves_its_account(
    deployed: Deployed, extracted: int
) -> None:
    experiment = extracted
    planes = deployed.planes(experiment)
    assert len(planes) == 8
    for plane in planes:
        expected = pixels_of(plane.record.site, plane.record.zplane)
        np.testing.assert_array_equal(plane.get(), expected)
    run = deployed.prefect.run_of(experiment)
    assert run["name"] == f"experiment-{experiment}"
    assert {"init", "extract 1/4", "extract 4/4", "collect"} <= deployed.prefect.task_names(run)
    summary = deployed.prefect.artifact(f"experiment-{experiment}-summary")
    assert "all planes are extracted" in summary
    assert deployed.prefect.artifact(f"experiment-{experiment}-progress") == 100
    assert len(_batch_rows(deployed, experiment)) == 4
    # The lines that the library logs in Dask's workers.
    log = deployed.prefect.log(run)
    assert sum("2 planes extracted" in line for line in log) == 4, log


def test_running_again_extracts_only_what_is_missing(deployed: Deployed, extracted: int) -> None:
    experiment = extracted
    files = [deployed.stored_file(plane) for plane in deployed.planes(experiment)]
    before = {file: file.stat().st_mtime_ns for file in files}

    done = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)

    assert done["state_type"] == "COMPLETED", done["state"]
    names = deployed.prefect.task_names(done)
    assert not any(name.startswith("extract") for name in names)
    assert {file: file.stat().st_mtime_ns for file in files} == before

    for file in files[:3]:
        file.unlink()
    done = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)

    assert done["state_type"] == "COMPLETED", done["state"]
    assert sum(row["extracted"] for row in _batch_rows(deployed, experiment)) == 3
    after = {file: file.stat().st_mtime_ns for file in files}
    assert [file for file in files if after[file] != before[file]] == files[:3]


def test_a_bad_plane_fails_the_run_by_name_and_nothing_else(deployed: Deployed) -> None:
    experiment = deployed.experiment("bad")
    broken = deployed.folder / "bad" / "plate_A01_s2_z1.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])

    run = deployed.prefect.run_deployment("imextract/default", experiment_id=experiment, **SMALL)

    assert run["state_type"] == "FAILED"
    assert broken.name in run["state"]["message"]
    assert len(deployed.planes(experiment, "extracted")) == 7
    assert len(deployed.planes(experiment, "failed")) == 1
    rows = deployed.prefect.artifact(f"experiment-{experiment}-failures")
    assert broken.name in rows


def test_a_missing_experiment_fails_the_run_by_number(deployed: Deployed) -> None:
    done = deployed.prefect.run_by_command("imextract/default", experiment_id=4711)
    assert done.returncode == 1
    assert "4711" in deployed.prefect.run_of(4711)["state"]["message"]


def test_a_run_survives_the_death_of_a_dask_worker(deployed: Deployed) -> None:
    experiment = deployed.experiment("killed", sites=8, zplanes=4, size=1024)
    run = deployed.prefect.start_run("imextract/default", experiment_id=experiment, **SMALL)
    wait_until(lambda: deployed.planes(experiment, "extracted") or None, "the first plane")
    _dask_worker(deployed.prefect.worker_pid).kill()
    done = deployed.prefect.ended(run)

    assert done["state_type"] == "COMPLETED", done["state"]
    assert len(deployed.planes(experiment, "extracted")) == 32


def test_the_workers_go_while_the_flow_accounts_for_the_planes() -> None:
    settings = runner_settings("local", WorkerSize(2, 1, 700, "01:00:00"))
    with DaskTaskRunner(**settings) as runner:
        workers = runner.client.cluster.workers
        assert len(workers) == 2
        let_workers_go(runner)
        wait_until(
            lambda: not runner.client.scheduler_info()["workers"] or None, "the end of the workers"
        )


def test_workers_are_forked_loaded_and_see_the_environment_of_now() -> None:
    runs = _runs_of_a_program("others = dict")
    assert [run["seen"] for run in runs] == [[["1", "7"]] * 2, [["2", None]] * 2, [["2", None]] * 2]
    # One for all workers of a run, and for runs of one environment.
    first, second, third = ({*run["parents"]} for run in runs)
    assert len(first) == len(second) == 1
    assert first != second == third
    # Kept by that process alone, once all is loaded.
    assert all(count > 0 for run in runs for count in run["kept"])


def test_the_process_that_somebody_else_forks_from_is_left_to_him() -> None:
    runs = _runs_of_a_program(_SOMEBODY_ELSE)
    (parent,) = {number for run in runs for number in run["parents"]}
    assert [run["others"] for run in runs] == [{"parent": parent, "is_alive": True}] * 3
    assert [run["seen"] for run in runs] == [[["1", "7"]] * 2, [["2", None]] * 2, [["2", None]] * 2]


def test_a_process_that_hangs_holds_off_no_run_in_another_environment() -> None:
    runs = _runs_of_a_program(_ONE_THAT_STAYS)
    first, second, third = ({*run["parents"]} for run in runs)
    assert first != second == third
    assert [run["others"] for run in runs] == [{"parent": number} for number in (*first,) * 3]


def _runs_of_a_program(first: str) -> list[dict[str, Any]]:
    """Run three times in a program that does something else first, and tell of the workers."""
    done = subprocess.run(
        [sys.executable, "-c", _THREE_RUNS, first],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    runs: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return runs


_SOMEBODY_ELSE = """
import atexit, multiprocessing, time
import psutil

other = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,))
other.start()
atexit.register(other.terminate)

def others():
    return {"parent": psutil.Process(other.pid).ppid(), "is_alive": other.is_alive()}
"""

_ONE_THAT_STAYS = """
import atexit, multiprocessing, os, time
import psutil

left = []

def others():
    # In the first run, after its workers: from the process that these come from.
    if not left:
        other = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,))
        other.start()
        atexit.register(os.kill, other.pid, 9)
        left.extend((other, psutil.Process(other.pid).ppid()))
    return {"parent": left[1]}
"""

_THREE_RUNS = """
import gc, json, os, sys
from prefect_dask.task_runners import DaskTaskRunner
from flows.cluster import WorkerSize, runner_settings
from flows.fork_process import process_for_workers
from flows.forking import forked_workers

def told(runner, function, *given):
    return list(runner.client.run(function, *given).values())

def environment():
    return [os.environ.get("IMEXTRACT_STORAGE_URL"), os.environ.get("IMEXTRACT_READ_TIMEOUT_S")]

def main():
    exec(sys.argv[1], globals())
    runs = []
    for storage, timeout_s in (("1", "7"), ("2", None), ("2", None)):
        os.environ["IMEXTRACT_STORAGE_URL"] = storage
        os.environ.pop("IMEXTRACT_READ_TIMEOUT_S", None)
        if timeout_s is not None:
            os.environ["IMEXTRACT_READ_TIMEOUT_S"] = timeout_s
        settings = runner_settings("local", WorkerSize(2, 1, 700, "01:00:00"))
        with process_for_workers(), forked_workers(), DaskTaskRunner(**settings) as runner:
            runner.client.wait_for_workers(2)
            runs.append({
                "parents": told(runner, os.getppid),
                "kept": told(runner, gc.get_freeze_count),
                "seen": told(runner, environment),
                "others": others(),
            })
    print(json.dumps(runs))

main()
"""


def test_a_process_that_no_worker_came_from_ends_with_its_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_WORKERS],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    begun, still_there = map(json.loads, done.stdout.splitlines())
    assert len(begun) == 1
    assert still_there == []
    assert list(tmp_path.iterdir()) == []
    assert not done.stderr


_WITHOUT_WORKERS = """
import time
import psutil
from flows.fork_process import process_for_workers

def of_ours():
    return [one.pid for one in psutil.Process().children() if "forkserver" in str(one.cmdline())]

with process_for_workers():
    begun = of_ours()
    print(begun)
for _ in range(300):
    if psutil.Process().children():
        time.sleep(0.1)
print(of_ours())
"""


def test_a_killed_run_leaves_no_socket_of_its_workers(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WITH_A_WORKER],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        (socket,) = tmp_path.glob("pymp-*/listener-*")
        run.kill()
    wait_until(lambda: not socket.parent.exists() or None, "the end of the socket's folder")


_WITH_A_WORKER = """
import time
from prefect_dask.task_runners import DaskTaskRunner
from flows.cluster import WorkerSize, runner_settings
from flows.forking import forked_workers

settings = runner_settings("local", WorkerSize(1, 1, 700, "01:00:00"))
with forked_workers(), DaskTaskRunner(**settings) as runner:
    runner.client.wait_for_workers(1)
    print("up", flush=True)
    time.sleep(600)
"""


def test_no_process_and_no_file_of_java_outlives_a_run(deployed: Deployed, tmp_path: Path) -> None:
    experiment = deployed.experiment("alone", sites=2)
    with Workplace.of(deployed.settings).database.transaction() as session:
        session.execute(update(MicroscopeImageFileRow).values(reader="bioformats"))
    call = f"from flows.extraction import imextract; imextract({experiment}, workers=2, memory=700)"
    with subprocess.Popen(
        [sys.executable, "-c", call],
        cwd=Path(__file__).parents[2],
        env=deployed.prefect.environment | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
    ) as run:
        wait_until(lambda: any(tmp_path.glob("imextract-java-*")) or None, "Java")
        run.wait()
    assert run.returncode == 0
    assert len(deployed.planes(experiment, "extracted")) == 4
    wait_until(lambda: not _session(run.pid) or None, "the end of what the run had started")
    assert not list(tmp_path.glob("imextract-java-*"))
    assert not list(tmp_path.glob("pymp-*"))


def test_a_worker_that_cannot_warm_up_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMEXTRACT_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    settings = runner_settings("local", WorkerSize(1, 1, 700, "01:00:00"))
    with DaskTaskRunner(**settings) as runner:
        connect(runner, 1)
        assert runner.client.submit(sum, [1, 2]).result() == 3


def test_the_workers_of_a_running_scheduler_do_the_work(deployed: Deployed) -> None:
    experiment = deployed.experiment("address")
    environment = {
        "IMEXTRACT_DATABASE_URL": deployed.settings.database_url,
        "IMEXTRACT_STORAGE_URL": deployed.settings.storage_url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with LocalCluster(  # type: ignore[no-untyped-call]  # distributed has few types
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        env=environment,
    ) as cluster:  # fmt: skip
        done = deployed.prefect.run_deployment(
            "imextract/default", experiment_id=experiment, cluster=cluster.scheduler_address
        )
        assert len(cluster.scheduler_info["workers"]) == 1

    assert done["state_type"] == "COMPLETED", done["state"]
    assert len(deployed.planes(experiment, "extracted")) == 8


def test_retry_extracts_what_failed_and_does_not_restart(deployed: Deployed) -> None:
    experiment = deployed.experiment("retried")
    broken = deployed.folder / "retried" / "plate_A01_s0_z0.tif"
    times = broken.stat()
    broken.rename(broken.with_suffix(".away"))
    run = deployed.prefect.run_deployment(
        "imextract/default", experiment_id=experiment, **SMALL, restart=True
    )
    assert run["state_type"] == "FAILED"
    files = [deployed.stored_file(plane) for plane in deployed.planes(experiment, "extracted")]
    before = [file.stat().st_mtime_ns for file in files]

    broken.with_suffix(".away").rename(broken)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    deployed.prefect.prefect("flow-run", "retry", run["id"])
    again = deployed.prefect.final_run(
        "imextract", lambda other: other["id"] == run["id"] and other["run_count"] == 2
    )

    assert again["state_type"] == "COMPLETED", again["state"]["message"]
    assert len(deployed.planes(experiment, "extracted")) == 8
    assert [file.stat().st_mtime_ns for file in files] == before


def _batch_rows(deployed: Deployed, experiment: int) -> list[dict[str, int]]:
    rows: list[dict[str, int]] = json.loads(
        deployed.prefect.artifact(f"experiment-{experiment}-batches")
    )
    return rows


def _session(leader: int) -> list[psutil.Process]:
    """Give the processes of a session that live."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == leader:
                found.append(process)
    return found


def _dask_worker(worker_pid: int) -> psutil.Process:
    """Find a worker process of the Dask cluster of a run."""
    family = psutil.Process(worker_pid).children(recursive=True)
    return next(
        process
        for process in family
        if "forkserver" in " ".join(process.cmdline()) and process.num_threads() > 4
    )
