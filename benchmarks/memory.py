"""Memory of a worker, job after job: it must not grow."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import tifffile
from sqlalchemy import update

from benchmarks.bench import Bench
from benchmarks.measuring import run_measured
from benchmarks.tables import Table
from imextract.config import Settings
from imextract.database.models import MicroscopeImageFileRow
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.simulation import PlateLayout, expected_plane
from imextract.workplace import Workplace
from scripts import prefect_stack

__all__ = ["tables"]

_PATTERN = r"A01_s(?P<s>\d+)\.tif$"


def tables(bench: Bench) -> Iterator[Table]:
    """Give a row for each way of reading: the process at every tenth of its jobs."""
    jobs = 50 if bench.is_quick else 1000
    marks = [1, *range(jobs // 10, jobs + 1, jobs // 10)]
    table = Table(
        "Does the memory of a worker grow with its jobs? MB",
        ("read by", *(f"{mark} jobs" for mark in marks)),
    )
    plate = _plate(bench.folder / "memory", jobs)
    for reader in ("tifffile", "bioformats"):
        table.add(reader, *_measure(bench.folder / reader, plate, reader, marks))
    table.note = (
        "A process that does what a Dask worker does, one job after the other, each of one file "
        "with a plane of 2048 x 2048 pixels of 16 bits; resident memory, Java's process included."
    )
    yield table


def _plate(folder: Path, files: int) -> Path:
    """Make a plate of links to one file, so that it needs no space."""
    folder.mkdir()
    first = folder / "A01_s1.tif"
    layout = PlateLayout(height=2048, width=2048)
    tifffile.imwrite(first, expected_plane(layout, next(layout.plane_keys())))
    for number in range(2, files + 1):
        os.link(first, folder / f"A01_s{number}.tif")
    return folder


def _measure(folder: Path, plate: Path, reader: str, marks: list[int]) -> list[float]:
    folder.mkdir()
    settings = Settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}", storage_url=str(folder / "planes")
    )
    register_folder(RegistrationRequest(folder=plate, name="memory", pattern=_PATTERN), settings)
    with Workplace.of(settings).database.transaction() as session:
        session.execute(update(MicroscopeImageFileRow).values(reader=reader))
    given = json.dumps({"settings": settings.model_dump(), "marks": marks})
    command = [sys.executable, "-m", "benchmarks.memory_steps", given]
    run = run_measured(command, folder=prefect_stack.CHECKOUT)
    megabytes: list[float] = json.loads(run.output.strip().splitlines()[-1])
    return megabytes
