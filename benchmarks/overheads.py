"""What is paid before and beside the work: imports, commands, Prefect's tasks."""

import json
import sys
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.measuring import Measured, run_measured
from benchmarks.tables import Table
from scripts import prefect_stack

__all__ = ["tables"]

_MAPPED = """
import sys, time
from prefect import flow, task
from prefect_dask.task_runners import DaskTaskRunner
from flows.forking import forked_workers
from tasks.policy import POLICY

@task(**POLICY)
def nothing(number):
    return number

@flow
def mapping(count):
    size = dict(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0")
    with forked_workers(), DaskTaskRunner(cluster_kwargs=size) as runner:
        runner.client.scheduler_info()
        start = time.perf_counter()
        futures = runner.map(nothing, {"number": range(count)})
        mapped = time.perf_counter() - start
        for future in futures:
            future.result()
        return mapped, time.perf_counter() - start

if __name__ == "__main__":
    print("took", *mapping(int(sys.argv[1])))
"""


def tables(bench: Bench) -> Iterator[Table]:
    """Measure starting, and what a task costs that does nothing."""
    table = Table("What is paid before the work?", ("what", "s", "CPU s", "MB"))
    rounds = 3 if bench.is_quick else 7
    commands = {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`import imextract`": [sys.executable, "-c", "import imextract"],
        "`imextract --help`": [sys.executable, "-m", "imextract.cli.main", "--help"],
        "`import flows.extraction`": [sys.executable, "-c", "import flows.extraction"],
    }
    for name, command in commands.items():
        runs = [run_measured(command, folder=prefect_stack.CHECKOUT) for _ in range(rounds)]
        best = min(runs, key=lambda run: run.wall_s)
        table.add(name, best.wall_s, best.cpu_s, best.peak_mb)
    table.note = f"The best of {rounds}; packages compiled, in the page cache."
    yield table
    if not bench.is_quick:
        yield _mapping(bench)


def _mapping(bench: Bench) -> Table:
    table = Table(
        "What does a Prefect task cost on Dask?",
        ("tasks that do nothing", "ms a task", "of it submission", "flow's CPU s", "flow's MB"),
    )
    folder = bench.folder / "mapping"
    folder.mkdir()
    script = folder / "mapping.py"
    script.write_text(_MAPPED, encoding="utf-8")
    environment = prefect_stack.private_environment(folder / "prefect", {})
    environment["PYTHONPATH"] = str(prefect_stack.CHECKOUT)
    with prefect_stack.running_server(environment, folder / "server.log") as server:
        prefect_stack.wait_until_healthy(server, environment["PREFECT_API_URL"])
        for count in (20, 200, 1000):
            command = [sys.executable, str(script), str(count)]
            run = run_measured(command, folder=folder, environment=environment)
            mapped, whole = _took(run)
            table.add(count, 1000 * whole / count, mapped / whole, run.cpu_s, run.peak_mb)
    table.note = (
        "Two forked Dask workers, as a run has them, a Prefect server of its own on SQLite."
    )
    return table


def _took(run: Measured) -> tuple[float, float]:
    line = next(line for line in run.output.splitlines() if line.startswith("took "))
    mapped, whole = json.loads(f"[{','.join(line.split()[1:])}]")
    return mapped, whole
