"""Our readers beside Bio-Formats: ``python benchmarks/readers.py FOLDER`` prints a table.

All files of the folder of which a reader of our own is chosen, grouped by
format: opened and read wholly, as a job does, copy after copy for a second. The
Bio-Formats process runs and has read the file before. CPU time is that of this
process and of the Bio-Formats process together; copying is in it.
"""

import argparse
import itertools
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import inspect_file
from imextract.readers.registry import choose_reader, open_reader

SECONDS = 1.0


@dataclass
class Cost:
    """What reading some planes cost."""

    planes: int = 0
    wall_s: float = 0
    cpu_s: float = 0

    def __iadd__(self, other: "Cost") -> Self:
        self.planes += other.planes
        self.wall_s += other.wall_s
        self.cpu_s += other.cpu_s
        return self

    @property
    def ms(self) -> tuple[float, float]:
        """Milliseconds a plane: wall, CPU."""
        return 1000 * self.wall_s / self.planes, 1000 * self.cpu_s / self.planes


def cpu_seconds() -> float:
    """CPU time of this process and of its children."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def read_all(name: str, path: Path, settings: Settings) -> tuple[int, int]:
    """Open a file and read every plane; count planes and bytes."""
    with open_reader(name, path, settings) as reader:
        refs = [
            PlaneRef(series, plane)
            for series, structure in enumerate(reader.structure)
            for plane in range(structure.plane_count)
        ]
        return len(refs), sum(reader.read_plane(ref).nbytes for ref in refs)


def cost_of(name: str, path: Path, settings: Settings) -> tuple[Cost, int]:
    """Open and read a file for a while; give the cost and the bytes of its planes."""
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        copies = (_copy(path, Path(folder, str(number))) for number in itertools.count())
        _, size = read_all(name, next(copies), settings)
        planes, cpu, start = 0, cpu_seconds(), time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            planes += read_all(name, next(copies), settings)[0]
        wall = time.perf_counter() - start
        return Cost(planes, wall, cpu_seconds() - cpu), size


def _copy(path: Path, folder: Path) -> Path:
    # A file by another name is another data set: nothing is open yet.
    folder.mkdir()
    return Path(shutil.copy(path, folder))


def native_files(folder: Path, settings: Settings) -> Iterator[tuple[str, str, Path]]:
    """Give format, reader and path of the files that have a reader of our own."""
    for path in sorted(folder.rglob("*")):
        try:
            inspection = inspect_file(path, settings)
            reader = choose_reader(inspection, settings)
        except ImextractError:
            continue
        if reader != "bioformats":
            yield inspection.format_name, reader, path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    settings = Settings()
    costs: defaultdict[tuple[str, str], list[tuple[Cost, Cost, int]]] = defaultdict(list)
    for format_name, reader, path in native_files(parser.parse_args().folder, settings):
        theirs, _ = cost_of("bioformats", path, settings)
        ours, size = cost_of(reader, path, settings)
        costs[format_name, reader].append((ours, theirs, size))
    print(
        "| format | reader | files | MB | ms a plane | CPU ms | Bio-Formats ms | CPU ms | CPU ×  |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (format_name, reader), files in costs.items():
        ours, theirs = Cost(), Cost()
        for one, other, _ in files:
            ours += one
            theirs += other
        megabytes = sum(size for *_, size in files) / 1e6
        (wall, cpu), (their_wall, their_cpu) = ours.ms, theirs.ms
        print(
            f"| {format_name} | `{reader}` | {len(files)} | {megabytes:.1f} "
            f"| {wall:.2f} | {cpu:.2f} | {their_wall:.2f} | {their_cpu:.2f} "
            f"| {their_cpu / cpu:.1f} |"
        )


if __name__ == "__main__":
    main()
