"""Our readers beside Bio-Formats, format by format, and how soon and fast Bio-Formats reads."""

import itertools
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from benchmarks import cold_worker
from benchmarks.bench import Bench
from benchmarks.kinds import make_kinds
from benchmarks.tables import Table
from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import inspect_file
from imextract.readers.registry import choose_reader, open_reader

__all__ = ["tables"]


@dataclass
class _Cost:
    """What reading some planes took."""

    planes: int = 0
    wall_s: float = 0
    cpu_s: float = 0

    def __iadd__(self, other: "_Cost") -> Self:
        self.planes += other.planes
        self.wall_s += other.wall_s
        self.cpu_s += other.cpu_s
        return self

    @property
    def wall_ms(self) -> float:
        """Per plane."""
        return 1000 * self.wall_s / self.planes

    @property
    def cpu_ms(self) -> float:
        """Per plane."""
        return 1000 * self.cpu_s / self.planes


@dataclass
class _Comparison:
    """What one format takes by a reader of ours, and by Bio-Formats."""

    files: int
    ours: _Cost
    theirs: _Cost


def tables(bench: Bench) -> Iterator[Table]:
    """Compare our readers with Bio-Formats, and see what Bio-Formats takes by itself."""
    yield _by_format(bench)
    yield from cold_worker.tables(bench)


def _by_format(bench: Bench) -> Table:
    table = Table(
        "How much faster than Bio-Formats are our own readers?",
        ("format", "Bio-Formats : ours", "of CPU time", "ours ms a plane", "Bio-Formats ms a plane",
         "ours CPU ms", "Bio-Formats CPU ms", "files", "reader"),
    )  # fmt: skip
    folder = bench.folder / "readers"
    folder.mkdir()
    measured = _Measurement(folder, 0.3)
    for kind, path in make_kinds(folder).items():
        reader = choose_reader(inspect_file(path, measured.settings), measured.settings)
        _add(table, f"{kind}, made", reader, measured.compare(reader, path))
    # Whole formats of real files take too long for a quick look.
    if bench.data.is_dir() and not bench.is_quick:
        _add_real_files(table, measured, bench.data)
    table.note = (
        "Files opened and all their planes read, one link to them after the other, each for "
        f"{measured.seconds:g} s; ratios of milliseconds. The Bio-Formats process runs, and has "
        "read the file before. CPU time is that of this process and of the Bio-Formats process "
        "together. Made files have planes of 2048 x 2048 pixels of 16 bits; of the others all "
        "files of the folder given by --data that a reader of ours is chosen for; their planes "
        "are small."
    )
    return table


def _add_real_files(table: Table, measured: "_Measurement", data: Path) -> None:
    found: defaultdict[tuple[str, str], _Comparison] = defaultdict(
        lambda: _Comparison(0, _Cost(), _Cost())
    )
    for format_name, reader, path in _native_files(data, measured.settings):
        one, all_ = measured.compare(reader, path), found[format_name, reader]
        all_.files += one.files
        all_.ours += one.ours
        all_.theirs += one.theirs
    for (format_name, reader), comparison in found.items():
        _add(table, format_name, reader, comparison)


def _native_files(data: Path, settings: Settings) -> Iterator[tuple[str, str, Path]]:
    """Give format, reader and path of the files that have a reader of our own."""
    for path in sorted(data.rglob("*")):
        try:
            inspection = inspect_file(path, settings)
            reader = choose_reader(inspection, settings)
        except ImextractError:
            continue
        if reader != "bioformats":
            yield inspection.format_name, reader, path


def _add(table: Table, name: str, reader: str, found: _Comparison) -> None:
    ours, theirs = found.ours, found.theirs
    table.add(
        name,
        theirs.wall_ms / ours.wall_ms,
        theirs.cpu_ms / ours.cpu_ms,
        ours.wall_ms,
        theirs.wall_ms,
        ours.cpu_ms,
        theirs.cpu_ms,
        found.files,
        f"`{reader}`",
    )


class _Measurement:
    """Reads files by several readers, each for a while."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.settings = Settings()
        self.seconds = seconds
        self._folders = (folder / str(number) for number in itertools.count())

    def compare(self, reader: str, path: Path) -> _Comparison:
        """Read a file by a reader of ours and by Bio-Formats."""
        folder = next(self._folders)
        folder.mkdir()
        copy = Path(shutil.copy(path, folder))
        theirs = self._cost("bioformats", copy)
        ours = self._cost(reader, copy)
        shutil.rmtree(folder)
        return _Comparison(1, ours, theirs)

    def _cost(self, reader: str, path: Path) -> _Cost:
        self._read_all(reader, path)
        cost, cpu, start = _Cost(), _cpu_seconds(), time.perf_counter()
        while time.perf_counter() - start < self.seconds:
            cost.planes += self._read_all(reader, path)
        cost.wall_s = time.perf_counter() - start
        cost.cpu_s = _cpu_seconds() - cpu
        return cost

    def _read_all(self, reader: str, path: Path) -> int:
        """Open a file by another name, read every plane, and count them."""
        # Another name is another data set: nothing of it is open yet.
        folder = next(self._folders)
        folder.mkdir()
        link = folder / path.name
        os.link(path, link)
        with open_reader(reader, link, self.settings) as opened:
            refs = [
                PlaneRef(series, plane)
                for series, structure in enumerate(opened.structure)
                for plane in range(structure.plane_count)
            ]
            for ref in refs:
                opened.read_plane(ref)
        shutil.rmtree(folder)
        return len(refs)


def _cpu_seconds() -> float:
    """Give the CPU time of this process and of its children."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(one.user + one.system for one in times)
