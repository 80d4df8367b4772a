"""Planes of a data set that Bio-Formats tells of, though no file of it holds them.

For a file that is missing it tells the same planes as if it were there, and
gives zeros for them.
"""

from pathlib import Path

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.tiff import check_tiff
from imextract.registration.candidates import Candidate
from imextract.registration.files import FoundFiles

__all__ = ["lost_planes"]


def lost_planes(found: FoundFiles, candidate: Candidate, settings: Settings) -> frozenset[PlaneRef]:
    """Give the planes of a data set that are not in its files.

    Only a set whose files hold fewer planes than it declares is looked at: each
    plane of its series with too few is read.
    """
    structure = candidate.inspection.structure
    paths = [found.folder / path for path in candidate.pixel_files]
    if len(candidate.files) == 1 or not _may_lack(paths, sum(one.plane_count for one in structure)):
        return frozenset()
    entry = found.folder / candidate.entry
    with BioFormatsReader(entry, settings, (), found.folder) as reader:
        return frozenset(
            PlaneRef(series, plane)
            for series in range(len(structure))
            for plane in reader.lost_planes(series)
        )


def _may_lack(paths: list[Path], declared: int) -> bool:
    # A file holds a plane at least: with as many files, none needs opening.
    return len(paths) < declared and sum(map(_plane_count, paths)) < declared


def _plane_count(path: Path) -> int:
    try:
        return check_tiff(path).plane_count
    except SourceFileError:
        return 0
