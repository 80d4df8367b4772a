"""What is paid before and beside the work: imports, commands, Prefect's tasks."""

import json
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.bench import Bench
from benchmarks.measuring import Measured, run_measured
from benchmarks.ours import serving_flows
from benchmarks.tables import Table
from imextract.simulation import PlateLayout, simulate
from scripts import prefect_stack

__all__ = ["tables"]

_SMALL = PlateLayout(wells=2, sites=4, channels=2, height=512, width=512)

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
    yield _small_job(bench, rounds)
    if not bench.is_quick:
        yield _mapping(bench)


def _small_job(bench: Bench, rounds: int) -> Table:
    table = Table(
        "What does a whole job take that has hardly a plane?",
        ("what", "s", "CPU s", "of it jobs and collect, s"),
    )
    plate = bench.folder / "small-plate"
    simulate(plate, "operetta", _SMALL)
    with serving_flows(bench) as flows:
        registered = [
            flows.register_by_command(plate, ("--name", f"small {number}"))
            for number in range(rounds + 1)
        ]
        ran = [flows.run(experiment_id) for experiment_id, _ in registered[1:]]
    (_, first), *others = registered
    table.add("register, where the ledger is new", first.wall_s, first.cpu_s, "")
    table.add("register", *_medians([one for _, one in others]), "")
    table.add("run", *_medians([one.whole for one in ran]), median(one.seconds for one in ran))
    table.note = (
        f"{_SMALL.plane_count} planes of {_SMALL.width} x {_SMALL.height} pixels, beside a Prefect "
        f"server that is up; the medians of {rounds}."
    )
    return table


def _medians(runs: list[Measured]) -> tuple[float, float]:
    return median(run.wall_s for run in runs), median(run.cpu_s for run in runs)


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
