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

_STEPS = ("register", "init", "fill", "resume", "collect", "planes", "info")


def tables(bench: Bench) -> Iterator[Table]:
    """Give a row for every number of planes, each step a process of its own."""
    table = Table(
        "Does cost grow in proportion to planes?",
        ("planes, ledger", *(f"{step} s" for step in _STEPS), *(f"{step} MB" for step in _STEPS)),
    )
    counts = (1_000, 10_000) if bench.is_quick else (1_000, 10_000, 100_000, 1_000_000)
    for planes in counts:
        folder = bench.folder / f"scaling-{planes}"
        _measure(table, planes, "SQLite", f"sqlite:///{folder / 'ledger.db'}", folder)
        shutil.rmtree(folder)
        if postgresql.server_binary("postgres") is not None:
            with postgresql.serving() as url:
                _measure(table, planes, "PostgreSQL", url, folder)
            shutil.rmtree(folder)
    table.note = (
        "Each step a process of its own, MB its largest memory. Fill stands for the jobs: it marks "
        "all planes as extracted, a thousand in a transaction, and makes their files, which are "
        "empty. Resume is init of what is finished; `planes` lists all as JSON."
    )
    yield table


def _measure(table: Table, planes: int, ledger: str, url: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    seconds, megabytes = [], []
    for step in _STEPS:
        given = json.dumps({"step": step, "planes": planes, "url": url, "folder": str(folder)})
        command = [sys.executable, "-m", "benchmarks.scaling_steps", given]
        run = run_measured(command, folder=prefect_stack.CHECKOUT)
        found = json.loads(run.output.strip().splitlines()[-1])
        seconds.append(found["seconds"])
        megabytes.append(found["megabytes"])
    table.add(f"{planes:,}, {ledger}", *seconds, *megabytes)
