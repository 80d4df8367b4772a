"""Telling pixels that were read from pixels that were invented.

Where a TIFF of a data set is missing, empty or truncated, Bio-Formats gives
zeros, wholly or in part, without a word. So a plane that might be such a one is
accepted only if a healthy TIFF of its series holds the very same pixels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import xxhash

from imextract.errors import SourceFileError
from imextract.planes import PixelArray
from imextract.readers.tiff import check_tiff, is_tiff, tiff_planes

__all__ = ["PlaneProof"]

_TIFF_SUFFIXES = {".tif", ".tiff", ".stk", ".flex", ".lsm", ".ome"}
_PLAIN_TIFF = "Tagged Image File Format"

SeriesFiles = Callable[[int], Sequence[Path]]


class PlaneProof:
    """Judges the planes of one data set.

    Parameters
    ----------
    format_name
        The format, as Bio-Formats calls it.
    files
        All files of the data set; None if Bio-Formats cannot tell them.
    series_files
        Gives the files of one series.
    problems
        Files that are not as they were registered, and why.
    """

    def __init__(
        self,
        format_name: str,
        files: Sequence[Path] | None,
        series_files: SeriesFiles,
        problems: Mapping[Path, str],
    ) -> None:
        self._files = files
        self._series_files = series_files
        self._problems = problems
        self._has_tiffs = files is None or _any_tiff(files)
        self._is_lone_tiff = format_name == _PLAIN_TIFF and files is not None and len(files) == 1
        self._current: tuple[tuple[Path, ...], _Evidence] | None = None

    def doubt(self, series: int, plane: PixelArray) -> str | None:
        """Say why a plane may be invented, or None if it is not."""
        if not self._problems and not self._has_tiffs:
            return None
        evidence = self._evidence(series)
        problems = {**self._problems, **evidence.problems}
        if problems:
            if not is_constant(plane) and evidence.holds(plane):
                return None
            return "a file of its data set is bad: " + "; ".join(list(problems.values())[:3])
        if self._is_lone_tiff or not is_constant(plane) or evidence.holds(plane):
            return None
        return (
            "all its pixels are equal and no TIFF of the data set holds such a plane, "
            "so Bio-Formats invented it for a file that is not there"
        )

    def _evidence(self, series: int) -> "_Evidence":
        files = tuple(self._series_files(series))
        if self._current is None or self._current[0] != files:
            # Only the series being read: a plate has thousands.
            self._current = files, _Evidence(files)
        return self._current[1]


class _Evidence:
    """The TIFFs of one series: which are bad, what the others hold."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.problems: dict[Path, str] = {}
        healthy = [file for file in files if self._is_healthy(file)]
        self._digests = _digests(healthy)
        self._seen: set[bytes] = set()

    def holds(self, plane: PixelArray) -> bool:
        """Whether a healthy TIFF holds the plane; decodes until it is found."""
        wanted = _digest(plane)
        if wanted in self._seen:
            return True
        for digest in self._digests:
            self._seen.add(digest)
            if digest == wanted:
                return True
        return False

    def _is_healthy(self, file: Path) -> bool:
        if not is_tiff(file):
            if file.suffix.lower() in (".tif", ".tiff"):
                self.problems[file] = f"{file}: missing, empty or no TIFF"
            return False
        try:
            check_tiff(file)
        except SourceFileError as error:
            self.problems[file] = error.message
            return False
        return True


def is_constant(plane: PixelArray) -> bool:
    """Whether all pixels are equal."""
    return bool((plane == plane.flat[0]).all())


def _any_tiff(files: Sequence[Path]) -> bool:
    by_name = any(file.suffix.lower() in _TIFF_SUFFIXES for file in files)
    return by_name or any(is_tiff(file) for file in files)


def _digests(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        try:
            yield from map(_digest, tiff_planes(file))
        except SourceFileError:
            # What cannot be decoded proves nothing.
            continue


def _digest(plane: PixelArray) -> bytes:
    head = f"{plane.dtype.name} {plane.shape}".encode()
    return head + xxhash.xxh3_128_digest(plane.tobytes())
