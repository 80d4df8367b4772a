"""A real Prefect server with our deployments and a process worker, for tests.

Everything runs on loopback, keeps its files in one folder and is stopped by
process id.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

CHECKOUT = Path(__file__).parents[1]
WORK_POOL = "imextract-process"


@dataclass
class PrefectServer:
    """A running server: its folder, and the environment that leads to it."""

    folder: Path
    environment: dict[str, str]
    worker_pid: int = 0
    _log: list[IO[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.environment["PREFECT_API_URL"]

    def cli(self, *arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        """Run `prefect ...` as a user does."""
        return subprocess.run(
            [_program("prefect"), "--no-prompt", *arguments],
            env=self.environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run_deployment(
        self, name: str, timeout_s: float = 180, **parameters: object
    ) -> subprocess.CompletedProcess[str]:
        """Run `prefect deployment run NAME -p ... --watch`."""
        given = [f"-p={key}={_spell(value)}" for key, value in parameters.items()]
        return self.cli("deployment", "run", name, *given, "--watch", timeout_s=timeout_s)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the server's REST interface."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def flow_runs(self, **filters: object) -> list[dict[str, Any]]:
        """Give flow runs, newest first."""
        runs: list[dict[str, Any]] = self.api(
            "POST", "/flow_runs/filter", {"sort": "START_TIME_DESC", **filters}
        )
        return runs

    def latest_run(self, flow_name: str) -> dict[str, Any] | None:
        """Give the flow run that started last."""
        runs = self.flow_runs(flows={"name": {"any_": [flow_name]}}, limit=1)
        return runs[0] if runs else None

    def logs(self, flow_run_id: str) -> list[str]:
        """Give the log lines of a flow run, its tasks' included."""
        lines = self.api(
            "POST",
            "/logs/filter",
            {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "TIMESTAMP_ASC"},
        )
        return [line["message"] for line in lines]

    def task_runs(self, flow_run_id: str) -> list[dict[str, Any]]:
        """Give the task runs of a flow run."""
        runs: list[dict[str, Any]] = self.api(
            "POST",
            "/task_runs/filter",
            {"task_runs": {"flow_run_id": {"any_": [flow_run_id]}}},
        )
        return runs

    def artifact(self, key: str) -> dict[str, Any]:
        """Give the newest artifact of a key."""
        latest: dict[str, Any] = self.api("GET", f"/artifacts/{key}/latest")
        return latest


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
    """Wait for a condition to hold and give its value."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(0.25)
    return value


@contextmanager
def running_server(folder: Path, settings: dict[str, str]) -> Iterator[PrefectServer]:
    """Start server, work pool, deployments and worker; stop them at the end."""
    server = PrefectServer(folder, _environment(folder, _free_port(), settings))
    with ExitStack() as stack:
        stack.enter_context(_process(server, "server", "server", "start", "--host", "127.0.0.1"))
        wait_until(lambda: _is_healthy(server), "a healthy Prefect server")
        for arguments in (
            ("work-pool", "create", WORK_POOL, "--type", "process"),
            ("deploy", "--all"),
        ):
            done = server.cli(*arguments)
            if done.returncode:
                raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}")
        server.worker_pid = stack.enter_context(
            _process(server, "worker", "worker", "start", "--pool", WORK_POOL, "--name", "w1")
        )
        yield server


@contextmanager
def _process(server: PrefectServer, name: str, *arguments: str) -> Iterator[int]:
    # Started in a folder of its own: nothing may depend on the checkout being there.
    with (server.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [_program("prefect"), *arguments],
            env=server.environment,
            cwd=server.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process.pid
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started: all are in its own group."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(20)


def _environment(folder: Path, port: int, settings: dict[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "DASK_", "IMEXTRACT_"))
        and name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    }
    return {
        **inherited,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
        "COLUMNS": "400",
        **settings,
    }


def _is_healthy(server: PrefectServer) -> bool:
    try:
        return bool(server.api("GET", "/health"))
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if not found:
        raise AssertionError(f"{name} is not installed beside {sys.executable}")
    return found


def _spell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
