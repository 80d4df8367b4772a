"""How soon a worker that has just started reads through Bio-Formats, and how fast then."""

import json
import sys
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.measuring import run_measured
from benchmarks.plates import multi_series_file
from benchmarks.tables import Table
from scripts import prefect_stack

__all__ = ["tables"]

_READ = """
import json, sys, time
begun = time.perf_counter()
from pathlib import Path
from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader

start = time.perf_counter()
with BioFormatsReader(Path(sys.argv[1]), Settings()) as reader:
    reader.read_plane(PlaneRef(0, 0))
    first = time.perf_counter()
    refs = [
        PlaneRef(series, plane)
        for series, one in enumerate(reader.structure)
        for plane in range(one.plane_count)
    ]
    times = []
    for ref in refs[1:]:
        start_of_plane = time.perf_counter()
        reader.read_plane(ref)
        times.append(time.perf_counter() - start_of_plane)
late = sorted(times[len(times) // 2:])
print(json.dumps([first - start, first - begun, 1000 * sum(times) / len(times),
                  1000 * late[len(late) // 2]]))
"""


def tables(bench: Bench) -> Iterator[Table]:
    """Start processes that read an OME-TIFF of many series through Bio-Formats."""
    table = Table(
        "How soon and how fast does a worker read through Bio-Formats?",
        ("planes", "first plane s", "and imports s", "ms a plane after it", "ms a plane, warm"),
    )
    (file,) = multi_series_file(bench, 1).folder.glob("*.ome.tif")
    rounds = 2 if bench.is_quick else 5
    runs = [_run(file.as_posix()) for _ in range(rounds)]
    table.add("one OME-TIFF of 8 series of 4 planes", *map(min, zip(*runs, strict=True)))
    table.note = (
        f"The best of {rounds} processes, each with a confined Bio-Formats process of its own, "
        "planes of 2048 x 2048 pixels of 16 bits, one after the other, none asked for ahead; the "
        "file and Java in the page cache. Warm: the median of the second half of the planes."
    )
    yield table


def _run(path: str) -> list[float]:
    command = [sys.executable, "-c", _READ, path]
    run = run_measured(command, folder=prefect_stack.CHECKOUT)
    times: list[float] = json.loads(run.output.splitlines()[-1])
    return times
