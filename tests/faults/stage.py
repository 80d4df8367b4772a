"""A Prefect server with our deployments and a process worker, killed and started again."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import psutil

from scripts import prefect_stack
from tests.faults.victim import Victim
from tests.prefect_server import PrefectServer, environment_of, wait_until

# A process that the flow run started: a Dask worker, or one that proves; the run
# itself; the server; server, process worker, runs and all that these have started.
Role = Literal["helper", "flow", "server", "session"]

# Two small workers: the machine that tests has few cores.
_SMALL = {"workers": 2, "memory": 700, "batch_size": 1, "delete": True}

_LONGEST_S = 400


class Stage:
    """What it takes to run the flow, any part of which may be killed.

    Parameters
    ----------
    folder
        Of the server's home and of what the programs say.
    settings
        Environment of all runs.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        # What killed programs leave goes with the folder.
        temporary = folder / "tmp"
        temporary.mkdir()
        self._environment = environment_of(folder, settings | {"TMPDIR": str(temporary)})
        self._programs: dict[str, tuple[ExitStack, prefect_stack.Program]] = {}
        self._is_deployed = False

    def start(self) -> None:
        """Start what does not run."""
        if not self._runs("server"):
            log = self._folder / "server.log"
            server = self._launch("server", prefect_stack.running_server(self._environment, log))
            prefect_stack.wait_until_healthy(server, self._environment["PREFECT_API_URL"])
        if not self._is_deployed:
            prefect_stack.create_work_pool(self._environment)
            prefect_stack.deploy_all(self._environment)
            self._is_deployed = True
        if not self._runs("worker"):
            log = self._folder / "worker.log"
            self._launch("worker", prefect_stack.running_worker(self._environment, log))

    def close(self) -> None:
        """Stop all that runs."""
        for name in ("worker", "server"):
            if name in self._programs:
                self._programs.pop(name)[0].close()

    def run(self, victim: Victim) -> psutil.Process:
        """Start a run of the flow, with deletion, and give its process once there is one."""
        prefect = PrefectServer(self._environment, self._root("worker").pid)
        deployment = prefect.api("GET", "/deployments/name/imextract/default")["id"]
        parameters: dict[str, Any] = {"experiment_id": victim.experiment.experiment_id, **_SMALL}
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        run = prefect.api("POST", f"/deployments/{deployment}/create_flow_run", body)["id"]
        return wait_until(self._flow, f"the process of flow run {run}")

    def kill(self, role: Role, flow: psutil.Process, nth: int = 0) -> int:
        """Kill a part, and see to it that what it leaves behind ends; give how many were killed.

        Parameters
        ----------
        nth
            Which of the processes that the flow run has started, if it is to be one of these.
        """
        helpers = _family(flow)[1:]
        doomed = {
            "helper": helpers[nth % len(helpers) :][:1] if helpers else [],
            "flow": [flow],
            "server": _family(self._root("server")),
            "session": _family(self._root("server")) + _family(self._root("worker")),
        }[role]
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if role in ("flow", "session"):
            _, left = psutil.wait_procs([flow, *helpers], timeout=_LONGEST_S)
            assert not left, f"they outlive the flow run: {left}"
        return bool(doomed)

    def _flow(self) -> psutil.Process | None:
        family = _family(self._root("worker"))
        return next((process for process in family if "prefect.engine" in _said(process)), None)

    def _launch(
        self, name: str, program: AbstractContextManager[prefect_stack.Program]
    ) -> prefect_stack.Program:
        stack = ExitStack()
        self._programs[name] = stack, stack.enter_context(program)
        return self._programs[name][1]

    def _runs(self, name: str) -> bool:
        if name not in self._programs:
            return False
        stack, program = self._programs[name]
        if program.process.poll() is None:
            return True
        del self._programs[name]
        stack.close()
        return False

    def _root(self, name: str) -> psutil.Process:
        return psutil.Process(self._programs[name][1].process.pid)


@contextmanager
def on_stage(folder: Path, settings: dict[str, str]) -> Iterator[Stage]:
    """Give a stage that is closed at the end."""
    stage = Stage(folder, settings)
    try:
        stage.start()
        yield stage
    finally:
        stage.close()


def is_over(flow: psutil.Process) -> bool:
    """Whether the process of a flow run has ended."""
    try:
        return not flow.is_running() or flow.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for_end(flow: psutil.Process) -> None:
    """Wait until the process of a flow run has ended."""
    wait_until(lambda: is_over(flow) or None, "the end of a flow run", _LONGEST_S)


def wait_for_progress(victim: Victim, goal: int, flow: psutil.Process) -> None:
    """Wait until so much is stored and freed, or the flow run is over."""
    while victim.progress[0] < goal and not is_over(flow):
        time.sleep(0.01)


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _said(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
