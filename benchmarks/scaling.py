"""Cost by the number of planes: init, collect, resume, lists; to SQLite and PostgreSQL.

Planes are rows and empty files: no pixel is read.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import run_measured
from benchmarks.tables import Table
from scripts import prefect_stack
from tests import postgresql

__all__ = ["tables"]

# With fewer, starting its server and the steps would take longer than they.
_FEWEST_ON_POSTGRESQL = 10_000
_STEPS = ("register", "init", "jobs", "resume", "collect", "planes", "info")
# Is done before it, and not measured.
_BEFORE = {"resume": "fill"}


def tables(bench: Bench) -> Iterator[Table]:
    """Give a row for every number of planes, each step a process of its own."""
    columns = ("planes, ledger", *_STEPS)
    found = {
        "seconds": Table("Does cost grow in proportion to planes? Seconds", columns),
        "cpu_us": Table("Does cost grow in proportion to planes? CPU µs a plane", columns),
        "megabytes": Table("Does memory grow with planes? MB", columns),
    }
    counts = (1_000, 10_000) if bench.is_quick else (1_000, 10_000, 100_000, 1_000_000)
    has_postgresql = not bench.is_quick and postgresql.server_binary("postgres") is not None
    for planes in counts:
        folder = bench.folder / f"scaling-{planes}"
        _measure(found, planes, "SQLite", f"sqlite:///{folder / 'ledger.db'}", folder)
        shutil.rmtree(folder)
        if has_postgresql and planes >= _FEWEST_ON_POSTGRESQL:
            with postgresql.serving() as url:
                _measure(found, planes, "PostgreSQL", url, folder)
            shutil.rmtree(folder)
    found["megabytes"].note = (
        "Each step a process of its own: what it takes once it is loaded, its own CPU time without "
        "that of PostgreSQL, its largest memory. 500 planes a site, a job each. Jobs: ten of them "
        "read their planes from the ledger and record them as extracted. Then all others are made "
        "extracted, with empty files. Resume is init of what is finished; collect deletes nothing, "
        "so that it reads no pixels; `planes` lists all as JSON, `info` all jobs."
    )
    yield from found.values()


def _measure(found: dict[str, Table], planes: int, ledger: str, url: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    took = []
    for step in _STEPS:
        if step in _BEFORE:
            _step(_BEFORE[step], planes, url, folder)
        took.append(_step(step, planes, url, folder))
    name = f"{planes:,}, {ledger}"
    found["seconds"].add(name, *(one["seconds"] for one in took))
    found["cpu_us"].add(name, *(one["cpu_us"] for one in took))
    found["megabytes"].add(name, *(one["megabytes"] for one in took))


def _step(step: str, planes: int, url: str, folder: Path) -> dict[str, float]:
    given = json.dumps({"step": step, "planes": planes, "url": url, "folder": str(folder)})
    command = [sys.executable, "-m", "benchmarks.scaling_steps", given]
    run = run_measured(command, folder=prefect_stack.CHECKOUT)
    took: dict[str, float] = json.loads(run.output.strip().splitlines()[-1])
    return took
