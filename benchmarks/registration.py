"""What registering costs: ``python benchmarks/registration.py`` prints a table.

A plate of 384 wells x 9 sites x 4 channels x 5 z-planes, a TIFF each, is put
into a temporary folder (links to a few small TIFFs: only headers are read) and
registered by the names of its files; then a manifest of a million planes is
written to SQLite. Each is a process of its own, so that its memory is its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from imextract.config import Settings
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.planes import PlaneRef
from imextract.registration.manifest import (
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    RowGroup,
    SiteInfo,
    SiteKey,
    SourceFile,
)
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.registration.wells import well_name

CHANNELS, ZPLANES, SITES = 4, 5, 9
PATTERN = r"(?P<w>[A-P]\d\d)_s(?P<s>\d)_c(?P<c>\d)_z(?P<z>\d)\.tif$"
# A file system allows no more links to one file than some 65,000.
LINKS = 20_000


def make_plate(folder: Path, wells: int) -> int:
    """Fill a folder with the TIFFs of a plate, and give their number."""
    names = [
        f"{well_name(well // 24, well % 24)}_s{site}_c{channel}_z{zplane}.tif"
        for well in range(wells)
        for site in range(1, SITES + 1)
        for channel in range(CHANNELS)
        for zplane in range(ZPLANES)
    ]
    folder.mkdir()
    for start in range(0, len(names), LINKS):
        first, *others = names[start : start + LINKS]
        tifffile.imwrite(folder / first, np.arange(256, dtype=np.uint16).reshape(16, 16))
        for name in others:
            os.link(folder / first, folder / name)
    return len(names)


class MillionRows(RowGroup):
    """Planes of sites of a plate, made one by one."""

    def __init__(self, planes: int, files: int) -> None:
        self._planes = planes
        self._files = files

    def rows(self) -> Iterator[ManifestRow]:
        per_file = self._planes // self._files
        per_site = 500
        for index in range(self._planes):
            site, within = divmod(index, per_site)
            well, number = divmod(site, 9)
            rest, zplane = divmod(within, 25)
            tpoint, channel = divmod(rest, 4)
            yield ManifestRow(
                SiteKey("P", well_name(well // 24, well % 24), number), "A", 0, f"C{channel}",
                tpoint, zplane, f"{index // per_file}.tif", PlaneRef(0, index % per_file),
                2160, 2160, "uint16",
            )  # fmt: skip


def million(planes: int, files: int) -> Manifest:
    """Make the manifest of so many planes in so many files."""
    rows = MillionRows(planes, files)
    manifest = Manifest(Path("/a/plate"), "pattern", row_groups=[rows])
    manifest.data_sets = [
        DataSet(SourceFile(f"{index}.tif", 1000, 1), (), "tifffile", "TIFF")
        for index in range(files)
    ]
    manifest.sites = {row.site: SiteInfo(0, row.site.site, 2160, 2160) for row in rows.rows()}
    manifest.channels = {name: ChannelInfo(name) for name in ("C0", "C1", "C2", "C3")}
    return manifest


def register_plate(folder: Path) -> int:
    settings = Settings(database_url=f"sqlite:///{folder.parent / 'plate.db'}")
    request = RegistrationRequest(
        folder=folder,
        name="plate",
        pattern=PATTERN,
    )
    return sum(register_folder(request, settings).counts.values())


def write_rows(folder: Path, planes: int, files: int) -> int:
    manifest = million(planes, files)
    database = Database(f"sqlite:///{folder.parent / f'rows{files}.db'}")
    database.prepare()
    with database.transaction() as session:
        write_manifest(session, manifest, name="rows", experiment_id=None, projects=False)
    return planes


def measure(what: str, folder: Path, planes: int, files: int) -> None:
    """Do one thing and print its line."""
    start = time.perf_counter()
    count = register_plate(folder) if what == "plate" else write_rows(folder, planes, files)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    megabytes, cpu = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
    title = "registering a plate of TIFFs" if what == "plate" else f"rows of {files:,} files"
    print(f"| {title} | {count:,} | {seconds:.1f} | {cpu:.1f} | {megabytes:.0f} |", flush=True)


def main() -> None:
    """Print the table, each line from a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--planes", type=int, default=1_000_000)
    parser.add_argument("--what", choices=("plate", "rows"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what is not None:
        measure(options.what, options.folder, options.planes, options.files)
        return
    print("| what | planes | s | CPU s | MB |\n|---|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory(prefix="imextract-benchmark-") as temporary:
        folder = Path(temporary, "plate")
        make_plate(folder, options.wells)
        for what, files in (("plate", 0), ("rows", 1000), ("rows", options.planes)):
            command = [sys.executable, __file__, "--what", what, "--files", str(files)]
            command += ["--folder", str(folder), "--planes", str(options.planes)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
