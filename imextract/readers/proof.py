"""Telling pixels that were read from pixels that were invented.

Where a TIFF of a data set is missing, empty or truncated, Bio-Formats gives
zeros, wholly or in part, without a word. So a plane that might be such a one is
accepted only if a healthy TIFF of its series holds the very same pixels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import xxhash

from imextract.checksum import is_constant
from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.tiff import check_tiff, is_tiff, tiff_planes

__all__ = ["PlaneProof"]

_TIFF_SUFFIXES = {".tif", ".tiff", ".stk", ".flex", ".lsm", ".ome"}
_PLAIN_TIFF = "Tagged Image File Format"


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
    plane_count
        Gives the number of planes that should be in those files.
    problems
        Files that are not as they were registered, and why.
    """

    def __init__(
        self,
        format_name: str,
        files: Sequence[Path] | None,
        series_files: Callable[[int], Sequence[Path]],
        plane_count: Callable[[int], int],
        problems: Mapping[Path, str],
    ) -> None:
        self._series_files = series_files
        self._plane_count = plane_count
        self._problems = problems
        self._has_tiffs = files is None or _any_tiff(files)
        self._is_lone_tiff = format_name == _PLAIN_TIFF and files is not None and len(files) == 1
        self._current: _Evidence | None = None
        self._current_series = -1

    def problems(self, series: int) -> str:
        """Say which files of a series are bad, and why; nothing if none is."""
        if not self._problems and not self._has_tiffs:
            return ""
        found = {**self._problems, **self._evidence(series).problems}
        told = "; ".join(list(found.values())[:3])
        return f"a file of its data set is bad: {told}" if told else ""

    def doubt(self, ref: PlaneRef, plane: PixelArray) -> str:
        """Say why a plane may be invented; nothing if it is not."""
        problems = self.problems(ref.series)
        if problems:
            is_proven = not is_constant(plane) and self._evidence(ref.series).holds(plane)
            return "" if is_proven else problems
        if not self._has_tiffs or self._is_lone_tiff or not is_constant(plane):
            return ""
        return self._doubt_constant(ref, plane)

    def _doubt_constant(self, ref: PlaneRef, plane: PixelArray) -> str:
        evidence = self._evidence(ref.series)
        if not evidence.holds(plane):
            return (
                "all its pixels are equal and no TIFF of the data set holds such a plane, "
                "so Bio-Formats invented it for a file that is not there"
            )
        expected = self._plane_count(ref.series)
        if evidence.plane_count < expected:
            return (
                "all its pixels are equal, and Bio-Formats invents such planes for files that "
                f"are not there: {expected} planes expected, TIFFs with {evidence.plane_count} got"
            )
        return ""

    def _evidence(self, series: int) -> "_Evidence":
        if self._current is not None and self._current_series == series:
            return self._current
        files = tuple(self._series_files(series))
        if self._current is None or self._current.files != files:
            # Only the series being read: a plate has thousands.
            self._current = _Evidence(files, self._problems)
        self._current_series = series
        return self._current


class _Evidence:
    """The TIFFs of one series: which are bad, what the others hold."""

    def __init__(self, files: tuple[Path, ...], known: Mapping[Path, str]) -> None:
        self.files = files
        self.problems: dict[Path, str] = {}
        self.plane_count = 0
        for file in files:
            if file not in known:
                self._examine(file)
        bad = {*known, *self.problems}
        self._digests = _digests([file for file in files if file not in bad])
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

    def _examine(self, file: Path) -> None:
        if not is_tiff(file):
            if file.suffix.lower() in (".tif", ".tiff"):
                self.problems[file] = f"{file}: missing, empty or no TIFF"
            return
        try:
            self.plane_count += check_tiff(file)
        except SourceFileError as error:
            self.problems[file] = error.message


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
