"""A Prefect server with our deployments and a worker, started and stopped together.

Everything is on loopback. Each program is started in a session of its own and
stopped by its process id; all of them end when the script that started them
does, even by kill -9.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

CHECKOUT = Path(__file__).resolve().parents[1]
WORK_POOL = "imextract-process"
HEALTHY_WITHIN_S = 180.0
_PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """A part of the stack does not work; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Program:
    """A running program of the stack, and where its output goes."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path | None

    def raise_if_ended(self) -> None:
        """Say why, if the program has ended by itself."""
        if self.process.poll() is not None:
            tail = "".join(f"\n  {line}" for line in _tail(self.log))
            raise StackError(
                f"the Prefect {self.name} ended by itself (code {self.process.returncode}){tail}"
            )


def private_environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a server of our own, untouched by the user's Prefect settings."""
    port = free_port()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "DASK_", "IMEXTRACT_"))
    }
    return {
        **inherited,
        **quiet_settings(),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        **settings,
    }


def quiet_settings() -> dict[str, str]:
    """Give the settings by which Prefect sends nothing home."""
    return {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def free_port() -> int:
    """Give a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        return httpx.get(f"{api_url}/health", timeout=5).text == "true"
    except httpx.HTTPError:
        return False


@contextmanager
def running_server(environment: Mapping[str, str], log: Path) -> Iterator[Program]:
    """Start a Prefect server; it may not be healthy yet."""
    with running("server", ["server", "start"], environment, log) as program:
        yield program


@contextmanager
def running_worker(
    environment: Mapping[str, str], log: Path | None, folder: Path = CHECKOUT
) -> Iterator[Program]:
    """Start a worker of our work pool; without a log it writes to the terminal."""
    name = f"{socket.gethostname()}-{os.getpid()}"
    arguments = ["worker", "start", "--pool", WORK_POOL, "--name", name]
    with running("worker", arguments, environment, log, folder) as program:
        yield program


def wait_until_healthy(server: Program, api_url: str) -> None:
    """Wait for a server to answer.

    Raises
    ------
    StackError
        If it ends before or does not answer in time.
    """
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while not is_healthy(api_url):
        server.raise_if_ended()
        if time.monotonic() > deadline:
            raise StackError(
                f"the Prefect server does not answer at {api_url} within {HEALTHY_WITHIN_S:.0f} s; "
                f"see {server.log}"
            )
        time.sleep(0.2)


def create_work_pool(environment: Mapping[str, str]) -> None:
    """Create our work pool if the server has none of that name."""
    url = f"{environment['PREFECT_API_URL']}/work_pools/{WORK_POOL}"
    if httpx.get(url, timeout=30).status_code != httpx.codes.OK:
        prefect(environment, "work-pool", "create", WORK_POOL, "--type", "process")


def deploy_all(environment: Mapping[str, str]) -> None:
    """Put all deployments of prefect.yaml on the server."""
    prefect(environment, "deploy", "--all")


def prefect(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of Prefect in the checkout and give its output.

    Raises
    ------
    StackError
        If it fails.
    """
    done = subprocess.run(
        [*_PREFECT, "--no-prompt", *arguments],
        env=dict(environment),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = f"{done.stdout}{done.stderr}".strip()
        raise StackError(f"prefect {' '.join(arguments)} failed:\n{output}")
    return done.stdout


@contextmanager
def running(
    name: str,
    arguments: list[str],
    environment: Mapping[str, str],
    log: Path | None,
    folder: Path = CHECKOUT,
) -> Iterator[Program]:
    """Run a program of Prefect for as long as the context lasts."""
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(
            [*_PREFECT, *arguments],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            # Ctrl-C reaches only the script, which stops its programs in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        stack.callback(_stop, process)
        yield Program(name, process, log)


def is_local(api_url: str) -> bool:
    """Whether an address is one of this machine, where a server can be started."""
    return urlsplit(api_url).hostname in {"127.0.0.1", "localhost", "::1"}


_PREFECT = [sys.executable, "-m", "prefect"]
_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a program, and then what is left of the session that it led."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _tail(log: Path | None, lines: int = 15) -> list[str]:
    if not log:
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
