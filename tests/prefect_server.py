"""What tests ask of a real Prefect server: its command line, its REST interface."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from scripts import prefect_stack

T = TypeVar("T")
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
# Only for what hangs: the machine may be slow, and busy with other tests.
LONGEST_S = 400


@dataclass(frozen=True)
class PrefectServer:
    """A running server with our deployments and a worker, and the environment leading to it."""

    environment: dict[str, str]
    worker_pid: int

    def run_deployment(
        self,
        deployment: str,
        job_environment: dict[str, str] | None = None,
        /,
        **parameters: object,
    ) -> dict[str, Any]:
        """Run a deployment and give the run when it has ended, however that may be."""
        return self.ended(self.start_run(deployment, job_environment, **parameters))

    def start_run(
        self,
        deployment: str,
        job_environment: dict[str, str] | None = None,
        /,
        **parameters: object,
    ) -> str:
        """Have a run of a deployment started, and give its id."""
        known = self.api("GET", f"/deployments/name/{deployment}")
        wanted = {
            "parameters": parameters,
            "job_variables": {"env": job_environment} if job_environment else {},
            "state": {"type": "SCHEDULED"},
        }
        run = self.api("POST", f"/deployments/{known['id']}/create_flow_run", wanted)
        return str(run["id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run and give it."""

        def find() -> dict[str, Any] | None:
            run: dict[str, Any] = self.api("GET", f"/flow_runs/{run_id}")
            return run if run["state_type"] in FINAL else None

        return wait_until(find, f"the end of run {run_id}")

    def run_by_command(
        self, deployment: str, **parameters: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a deployment as a user does, and wait for its end."""
        # As JSON: Prefect cannot parse a bare regular expression.
        given = [f"-p={name}={json.dumps(value)}" for name, value in parameters.items()]
        return self.prefect("deployment", "run", deployment, *given, "--watch")

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Prefect."""
        return subprocess.run(
            [*prefect_stack._PREFECT, "--no-prompt", *arguments],
            env=self.environment,
            cwd=prefect_stack.CHECKOUT,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask the REST interface."""
        url = self.environment["PREFECT_API_URL"] + path
        for _ in range(10):
            answer = httpx.request(method, url, json=body, timeout=30)
            # Prefect's SQLite was locked; its own client asks again, too.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.5)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Give the runs of a flow that have started, the newest first."""
        wanted = {
            "sort": "START_TIME_DESC",
            "flows": {"name": {"any_": [flow]}},
            "flow_runs": {"start_time": {"is_null_": False}},
        }
        found: list[dict[str, Any]] = self.api("POST", "/flow_runs/filter", wanted)
        return found

    def run_of(self, experiment_id: int) -> dict[str, Any]:
        """Give the newest run of the flow imextract for an experiment."""
        return next(
            run
            for run in self.runs("imextract")
            if run["parameters"]["experiment_id"] == experiment_id
        )

    def final_run(self, flow: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a run to end that meets a condition."""

        def find() -> dict[str, Any] | None:
            ended = (run for run in self.runs(flow) if run["state_type"] in FINAL)
            return next((run for run in ended if condition(run)), None)

        return wait_until(find, f"the end of a run of {flow}")

    def log(self, run: dict[str, Any]) -> list[str]:
        """Give the log lines of a run, its tasks' included."""
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "TIMESTAMP_ASC"}
        return [line["message"] for line in self.api("POST", "/logs/filter", wanted)]

    def task_names(self, run: dict[str, Any]) -> set[str]:
        """Give the names of the task runs of a run."""
        wanted = {"task_runs": {"flow_run_id": {"any_": [run["id"]]}}}
        return {task["name"] for task in self.api("POST", "/task_runs/filter", wanted)}

    def artifact(self, key: str) -> Any:
        """Give what the newest artifact of a key holds."""
        return self.api("GET", f"/artifacts/{key}/latest")["data"]


def wait_until(condition: Callable[[], T | None], what: str, timeout_s: float = LONGEST_S) -> T:
    """Wait for something to be there and give it."""
    deadline = time.monotonic() + timeout_s
    while (found := condition()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.25)
    return found


def environment_of(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Give the environment of a server whose home is in a folder."""
    return prefect_stack.private_environment(
        folder / "prefect",
        {
            "NO_COLOR": "1",
            "COLUMNS": "300",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            **settings,
        },
    )


@contextmanager
def serving(folder: Path, settings: dict[str, str]) -> Iterator[PrefectServer]:
    """Start a server, our work pool and deployments and a worker; stop them at the end."""
    environment = environment_of(folder, settings)
    with prefect_stack.running_server(environment, folder / "server.log") as server:
        prefect_stack.wait_until_healthy(server, environment["PREFECT_API_URL"])
        prefect_stack.create_work_pool(environment)
        prefect_stack.deploy_all(environment)
        # The worker starts elsewhere: no run may depend on being in the checkout.
        with prefect_stack.running_worker(environment, folder / "worker.log", folder) as worker:
            yield PrefectServer(environment, worker.process.pid)
