"""Reading sample planes both ways: as they will be extracted, and by Bio-Formats."""

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.agreement import same_pixels
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.registry import open_reader
from imextract.registration.manifest import Manifest, ManifestRow, Problem

__all__ = ["cross_check"]

logger = logging.getLogger(__name__)

# What Bio-Formats itself reads needs no comparison.
_ITS_OWN = frozenset({"bioformats", "none"})


def cross_check(manifest: Manifest, count: int, settings: Settings) -> list[Problem]:
    """Compare so many planes of each acquisition, spread over it, with Bio-Formats.

    Bio-Formats is given the file alone, under another name: what it makes of a
    plate, and which file it takes for which plane, is not asked.

    Returns
    -------
    list of Problem
        An error for each plane that differs, a warning where not one plane of
        an acquisition could be compared.
    """
    problems: list[Problem] = []
    for (plate, acquisition), rows in _samples(manifest, count).items():
        reasons = []
        for row in rows:
            difference, reason = _compare(manifest.folder, row, _reader_of(manifest), settings)
            if difference is not None:
                problems.append(Problem("error", row.source_file, _told(row, difference)))
            if reason is not None:
                reasons.append(reason)
        if reasons and len(reasons) == len(rows):
            text = (
                f"plate {plate}, acquisition {acquisition}: no plane could be compared with "
                f"Bio-Formats ({reasons[0]})"
            )
            problems.append(Problem("warning", rows[0].source_file, text))
        logger.info("%s: compared %d planes with Bio-Formats", acquisition, len(rows))
    return problems


def _reader_of(manifest: Manifest) -> Mapping[str, str]:
    return {one.entry.path: one.reader for one in manifest.data_sets if one.reader not in _ITS_OWN}


def _samples(manifest: Manifest, count: int) -> dict[tuple[str, str], list[ManifestRow]]:
    """Give planes of every acquisition, evenly spread over it."""
    readers = _reader_of(manifest)
    if count < 1 or not readers:
        return {}
    sizes = Counter(_acquisition(row) for row in _checkable(manifest, readers))
    wanted = {key: _spread(size, count) for key, size in sizes.items()}
    samples: defaultdict[tuple[str, str], list[ManifestRow]] = defaultdict(list)
    seen: Counter[tuple[str, str]] = Counter()
    for row in _checkable(manifest, readers):
        key = _acquisition(row)
        if seen[key] in wanted[key]:
            samples[key].append(row)
        seen[key] += 1
    return samples


def _checkable(manifest: Manifest, readers: Mapping[str, str]) -> Iterator[ManifestRow]:
    # A plane of a file that was warned of, such as a truncated one, fails by name later.
    bad = {problem.file for problem in manifest.problems}
    for row in manifest.rows():
        if row.source_file in readers and row.source_file not in bad:
            yield row


def _acquisition(row: ManifestRow) -> tuple[str, str]:
    return row.site.plate, row.acquisition


def _spread(size: int, count: int) -> set[int]:
    return set(np.linspace(0, size - 1, min(size, count)).round().astype(int).tolist())


def _compare(
    folder: Path, row: ManifestRow, readers: Mapping[str, str], settings: Settings
) -> tuple[str | None, str | None]:
    """Give what differs, and why the comparison was not possible."""
    if row.source is None:
        return None, None
    file, ref = row.source
    path = folder / file
    try:
        with open_reader(readers[file], path, settings, (), folder) as reader:
            ours = reader.read_plane(ref)
    except ImextractError as error:
        return f"it cannot be read: {error}", None
    try:
        theirs = _read_alone(path, ref, settings)
    except ImextractError as error:
        return None, str(error)
    return _difference(ours, theirs), None


def _read_alone(path: Path, ref: PlaneRef, settings: Settings) -> PixelArray:
    """Read a plane with Bio-Formats, out of sight of the files that lie beside it."""
    with tempfile.TemporaryDirectory(prefix="imextract-check-") as folder:
        alias = Path(folder, f"plane{path.suffix.lower()}")
        alias.symlink_to(path)
        with BioFormatsReader(alias, settings, (), path.parent) as reader:
            return reader.read_plane(ref)


def _difference(ours: PixelArray, theirs: PixelArray) -> str | None:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return (
            f"we read {ours.shape[1]} x {ours.shape[0]} {ours.dtype}, Bio-Formats "
            f"{theirs.shape[1]} x {theirs.shape[0]} {theirs.dtype}"
        )
    if same_pixels(ours, theirs):
        return None
    different = np.argwhere(ours != theirs)
    y, x = different[0]
    return (
        f"{len(different)} pixels are others than Bio-Formats reads, the first at row {y}, "
        f"column {x}: {ours[y, x]}, not {theirs[y, x]}"
    )


def _told(row: ManifestRow, difference: str) -> str:
    plane = row.ref.plane if row.ref is not None else "?"
    return (
        f"plane {plane} of plate {row.site.plate}, well {row.site.well}, site {row.site.site}, "
        f"channel {row.channel}, tpoint {row.tpoint}, zplane {row.zplane}: {difference}; register "
        "with --microscope bioformats, and report the file to us"
    )
