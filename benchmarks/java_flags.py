"""Java's flags for Bio-Formats: ``python -m benchmarks.java_flags`` prints a table.

A process starts, opens an OME-TIFF and reads its planes of 2048 x 2048 pixels
of 16 bits, with our flags and each set of others besides; another reads planes
that are coded, by LZW.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import tifffile

from benchmarks.bench import Bench
from benchmarks.plates import multi_series_file
from benchmarks.tables import Table

_READ = """
import json, sys, time
from imextract.readers import java
from imextract.readers.java_data_set import OpenDataSet

start, cpu = time.perf_counter(), time.process_time()
java.start_java(512, sys.argv[2])
logs = java.LogRecords()
data_set = OpenDataSet(sys.argv[1])
data_set.read(0, 0, {})
first, first_cpu = time.perf_counter() - start, time.process_time() - cpu
start, cpu, count = time.perf_counter(), time.process_time(), 0
for _ in range(2):
    for series in range(len(data_set.series)):
        for plane in range(data_set.series[series]["plane_count"]):
            data_set.read(series, plane, {})
            count += 1
taken = [(time.perf_counter() - start) / count, (time.process_time() - cpu) / count]
print(json.dumps([first, first_cpu, *(1000 * one for one in taken)]), flush=True)
# An orderly end, at which Java writes an archive of classes.
java.static("java/lang/System", "exit", "(I)V", 0)
"""
_ROUNDS = 3
_PLANES = 8


def main() -> None:
    """Print the table."""
    table = Table(
        "What do Java's flags give?",
        ("flags", "first plane s", "CPU s", "ms a plane", "CPU ms a plane", "CPU ms, LZW"),
    )
    with tempfile.TemporaryDirectory(prefix="imextract-bench-") as name:
        folder = Path(name)
        (file,) = multi_series_file(Bench(folder, is_quick=True), 1).folder.glob("*.ome.tif")
        coded = _coded(file, folder / "coded.ome.tif")
        archive = folder / "classes.jsa"
        _read(file, folder, f"-XX:ArchiveClassesAtExit={archive}")
        for flags, title in (
            ("", "ours"),
            (f"-XX:SharedArchiveFile={archive}", "and class-data sharing"),
            ("-XX:TieredStopAtLevel=1", "and `-XX:TieredStopAtLevel=1`"),
        ):
            runs = [_read(file, folder, flags) for _ in range(_ROUNDS)]
            coded_runs = [_read(coded, folder, flags) for _ in range(_ROUNDS)]
            table.add(title, *map(min, zip(*runs, strict=True)), min(run[-1] for run in coded_runs))
    table.note = f"The best of {_ROUNDS}, files in the page cache; Python's imports not counted."
    print(table.markdown())


def _coded(file: Path, path: Path) -> Path:
    """Write the first planes of a file to another, coded."""
    planes = tifffile.imread(file, key=range(_PLANES), maxworkers=1)
    tifffile.imwrite(path, planes, ome=True, compression="lzw", metadata={"axes": "CYX"})
    return path


def _read(file: Path, folder: Path, flags: str) -> list[float]:
    command = [sys.executable, "-c", _READ, str(file), str(folder)]
    environment = os.environ | {"JAVA_TOOL_OPTIONS": flags}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    times: list[float] = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("["))
    )
    return times


if __name__ == "__main__":
    main()
