"""What a stranger runs: `make server` and `make demo`, by the scripts behind them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.prefect_stack import free_port

CHECKOUT = Path(__file__).parents[2]


def _environment(folder: Path, **settings: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "DASK_", "IMEXTRACT_"))
    }
    return {**inherited, "PREFECT_HOME": str(folder), "NO_COLOR": "1", **settings}


@contextmanager
def _started(
    script: str, environment: dict[str, str], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.{script}"],
            cwd=CHECKOUT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(200)


def _wait(condition: Callable[[], object], output: Path, timeout_s: float = 400) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.2)


def _family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_the_server_serves_our_deployments_until_it_is_stopped(tmp_path: Path) -> None:
    api_url = f"http://127.0.0.1:{free_port()}/api"
    environment = _environment(tmp_path, PREFECT_API_URL=api_url)
    output = tmp_path / "output"

    with _started("serve", environment, output) as process:
        _wait(lambda: "Ctrl-C" in output.read_text() or process.poll() is not None, output)
        names = httpx.post(f"{api_url}/deployments/filter", json={}).json()
        pool = httpx.get(f"{api_url}/work_pools/imextract-process").json()
        _wait(lambda: _online_workers(api_url), output)
        family = _family(process)
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(200)

    assert {deployment["name"] for deployment in names} == {"default", "pending"}
    assert pool["type"] == "process"
    assert f"Prefect started at {api_url.removesuffix('/api')}" in output.read_text()
    assert exit_code == 0
    assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=60)[1] == []


def _online_workers(api_url: str) -> list[object]:
    workers = httpx.post(f"{api_url}/work_pools/imextract-process/workers/filter", json={}).json()
    return [worker for worker in workers if worker["status"] == "ONLINE"]


def test_programs_end_with_the_script_that_is_killed(tmp_path: Path) -> None:
    environment = _environment(tmp_path, PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
    output = tmp_path / "output"

    with _started("serve", environment, output) as process:
        _wait(lambda: len(_family(process)) >= 1, output)
        family = _family(process)
        process.kill()
        process.wait(60)

    assert psutil.wait_procs(family, timeout=60)[1] == []


def test_a_server_elsewhere_that_does_not_answer_is_named(tmp_path: Path) -> None:
    environment = _environment(tmp_path, PREFECT_API_URL="http://prefect.invalid:4200/api")
    output = tmp_path / "output"

    with _started("serve", environment, output) as process:
        assert process.wait(200) == 1

    assert "no Prefect server answers at PREFECT_API_URL=http://prefect.invalid" in (
        output.read_text()
    )


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a demo")


@pytest.fixture(scope="module")
def first_demo(demo_folder: Path) -> "subprocess.CompletedProcess[str]":
    return _demo(demo_folder, MB="1")


def test_the_demo_extracts_a_plate_and_shows_it(
    first_demo: "subprocess.CompletedProcess[str]", demo_folder: Path
) -> None:
    assert first_demo.returncode == 0, first_demo.stdout + first_demo.stderr
    planned = re.search(r"simulating .*\n\n==> (\d+) planes", first_demo.stdout)
    assert planned
    assert f"{planned[1]} extracted; {planned[1]} extracted now" in first_demo.stdout
    assert len(list((demo_folder / "planes").rglob("*.h5"))) == int(planned[1])
    assert (demo_folder / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_demo_finds_nothing_left_to_extract(
    first_demo: "subprocess.CompletedProcess[str]", demo_folder: Path
) -> None:
    assert first_demo.returncode == 0
    done = _demo(demo_folder, MB="1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to extract" in done.stdout


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DATA": "/no such folder"}, "imextract: DATA=/no such folder: No such file or directory"),
        ({"DATA": "EMPTY"}, "is empty; give a folder of microscope files"),
        ({"MB": "lots"}, "imextract: MB=lots: expected a number of megabytes"),
    ],
)
def test_the_demo_refuses_nonsense_in_one_line(
    tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = {
        name: value.replace("EMPTY", str(tmp_path / "empty")) for name, value in variables.items()
    }

    done = _demo(tmp_path / "demo", **given)

    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "demo").exists()


def _demo(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=CHECKOUT,
        env=_environment(folder, DEMO_FOLDER=str(folder), **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
