"""Telling pixels that were read from pixels that were invented.

Where a TIFF of a data set is missing, empty or truncated, Bio-Formats gives
zeros, wholly or in part, without a word; of some formats (Yokogawa CV7000) it
gives another plane in place of one whose file is missing. So a plane that might
be such a one is accepted only if a healthy TIFF of its series holds the very
same pixels, and holds them for no other plane. Nor is a plane accepted that no TIFF
holds while the pixels of one are damaged. The TIFFs are decoded for that no further than need be.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xxhash

from imextract.checksum import is_constant
from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.tiff import check_tiff, is_tiff, tiff_planes
from imextract.readers.tiff_structure import TiffContent

__all__ = ["PlaneProof"]

_TIFF_SUFFIXES = {".tif", ".tiff", ".stk", ".flex", ".lsm", ".ome"}
# Formats (Bio-Formats 7.3.1) that give another plane for a missing one, and whose
# corrections are TIFFs too, so that counting does not tell that one is missing.
_GIVE_OTHERS = frozenset({"Yokogawa CV7000"})
# Formats (Bio-Formats 7.3.1) whose pixels are cut to fewer bits, and the type of ours that
# reads them as they are.
_CUT_SHORT = {"Olympus ScanR": "scanr"}
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
    likely_page
        Guesses which page of those files, counted from the first, a plane is.
    read_series
        Gives the planes of a series as Bio-Formats gives them, those that it can.
    problems
        Files that are not as they were registered, and why.
    """

    def __init__(
        self,
        format_name: str,
        files: Sequence[Path] | None,
        series_files: Callable[[int], Sequence[Path]],
        plane_count: Callable[[int], int],
        likely_page: Callable[[PlaneRef], int],
        read_series: Callable[[int], Iterable[PixelArray]],
        problems: Mapping[Path, str],
    ) -> None:
        self._series_files = series_files
        self._plane_count = plane_count
        self._likely_page = likely_page
        self._read_series = read_series
        self._problems = problems
        self._has_tiffs = files is None or _any_tiff(files)
        self._gives_others = format_name in _GIVE_OTHERS
        self._read_whole_by = _CUT_SHORT.get(format_name)
        self._is_lone_tiff = format_name == _PLAIN_TIFF and files is not None and len(files) == 1
        self._current: _Evidence | None = None
        self._current_series = -1
        self._given: Counter[bytes] | None = None

    def problems(self, series: int) -> str:
        """Say which files of a series are bad, and why; nothing if none is."""
        if not self._problems and not self._has_tiffs:
            return ""
        found = {**self._problems, **self._evidence(series).problems}
        told = "; ".join(list(found.values())[:3])
        return f"a file of its data set is bad: {told}" if told else ""

    def lacks_files(self, series: int) -> bool:
        """Tell whether files of a series are missing, while those that are there are whole.

        Not told of formats whose files do not tell how many planes they hold,
        and where one plane is given for another.
        """
        if not self._has_tiffs or self._is_lone_tiff or self._gives_others:
            return False
        evidence = self._evidence(series)
        is_damaged = any(map(_is_there, (*self._problems, *evidence.problems)))
        return not is_damaged and evidence.plane_count < self._plane_count(series)

    def doubt(self, ref: PlaneRef, plane: PixelArray) -> str:
        """Say why a plane may be invented; nothing if it is not."""
        problems = self.problems(ref.series)
        if problems:
            is_held = not is_constant(plane) and self._evidence(ref.series).holds(plane)
            return self._doubt_other(ref, plane) if is_held else problems
        if not self._has_tiffs:
            return ""
        evidence = self._evidence(ref.series)
        if evidence.may_be_damaged and (
            damage := evidence.damage_unless_held(plane, self._likely_page(ref))
        ):
            return damage
        if self._is_lone_tiff:
            return ""
        if self._read_whole_by and not self._is_whole(ref, plane):
            return (
                "no TIFF holds these pixels, of which Bio-Formats gives but 12 bits: register "
                f"with --microscope {self._read_whole_by}"
            )
        return (
            self._doubt_constant(ref, plane)
            if is_constant(plane)
            else self._doubt_other(ref, plane)
        )

    def _is_whole(self, ref: PlaneRef, plane: PixelArray) -> bool:
        """Whether a TIFF holds the plane, be it with the sign bit that a ScanR sets everywhere."""
        evidence = self._evidence(ref.series)
        with_sign = np.bitwise_or(plane, 0x8000) if plane.dtype == np.uint16 else plane
        return evidence.holds(plane) or evidence.holds(with_sign)

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

    def _doubt_other(self, ref: PlaneRef, plane: PixelArray) -> str:
        """Say why a plane may be another one, given in place of one that is missing."""
        evidence = self._evidence(ref.series)
        may_lack = self._gives_others or evidence.plane_count < self._plane_count(ref.series)
        if not may_lack:
            return ""
        if self._given is None:
            self._given = Counter(map(_digest, self._read_series(ref.series)))
        held = evidence.count(plane)
        if self._given[_digest(plane)] > max(held, 1):
            return (
                "Bio-Formats gives the same pixels for "
                "several planes, as it does where a file is missing"
            )
        if not held and any(map(evidence.count_digest, self._given)):
            return (
                "a file of its series is missing, and none of the others holds these pixels, so "
                "they are another plane's"
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
        self._given = None
        return self._current


class _Evidence:
    """The TIFFs of one series: which are bad, what the others hold."""

    def __init__(self, files: tuple[Path, ...], known: Mapping[Path, str]) -> None:
        self.files = files
        self.problems: dict[Path, str] = {}
        self._healthy: dict[Path, TiffContent] = {}
        for file in files:
            if file not in known:
                self._examine(file)
        # Counted here, as it is asked for with every plane.
        self.plane_count = sum(found.plane_count for found in self._healthy.values())
        self.may_be_damaged = not all(found.is_plain for found in self._healthy.values())
        self._damages: list[str] = []
        self._digests: dict[tuple[int, ...], Iterator[bytes]] = {}
        self._seen: Counter[bytes] = Counter()

    def holds(self, plane: PixelArray, likely_page: int = 0) -> bool:
        """Whether a healthy TIFF holds the plane; decodes from a page on until it is found."""
        wanted, digests = _digest(plane), self._digests_like(plane, likely_page)
        while wanted not in self._seen:
            digest = next(digests, None)
            if digest is None:
                return False
            self._seen[digest] += 1
        return True

    def damage_unless_held(self, plane: PixelArray, likely_page: int) -> str:
        """Say which pages have damaged pixels, unless a page that has none holds the plane.

        Of LZW or PackBits that do not decode, Bio-Formats gives the beginning, and then zeros.
        """
        return "" if self.holds(plane, likely_page) else "; ".join(self._damages[:3])

    def count(self, plane: PixelArray) -> int:
        """Count the pages of healthy TIFFs that hold the plane; decodes all."""
        self._seen.update(self._digests_like(plane))
        return self._seen[_digest(plane)]

    def count_digest(self, digest: bytes) -> int:
        """Count the pages with a digest, of those that were decoded."""
        return self._seen[digest]

    def _digests_like(self, plane: PixelArray, first: int = 0) -> Iterator[bytes]:
        """Give the digests of all planes of a shape; each once, whoever asks."""
        shape = plane.shape
        if shape not in self._digests:
            self._digests[shape] = _digests(self._files_from(first), self._damages, shape)
        return self._digests[shape]

    def _files_from(self, page: int) -> list[tuple[Path, int]]:
        """Give the healthy TIFFs and where to begin in each, that with a page first."""
        files = list(self._healthy)
        for number, file in enumerate(files):
            count = self._healthy[file].plane_count
            if page < count:
                others = files[number + 1 :] + files[:number]
                return [(file, page), *((other, 0) for other in others)]
            page -= count
        return [(file, 0) for file in files]

    def _examine(self, file: Path) -> None:
        if not is_tiff(file):
            if file.suffix.lower() in (".tif", ".tiff"):
                self.problems[file] = f"{file}: missing, empty or no TIFF"
            return
        try:
            self._healthy[file] = check_tiff(file)
        except SourceFileError as error:
            self.problems[file] = error.message


def _is_there(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _any_tiff(files: Sequence[Path]) -> bool:
    by_name = any(file.suffix.lower() in _TIFF_SUFFIXES for file in files)
    return by_name or any(is_tiff(file) for file in files)


def _digests(
    files: Sequence[tuple[Path, int]], damages: list[str], shape: tuple[int, ...]
) -> Iterator[bytes]:
    for file, first in files:
        try:
            yield from map(_digest, tiff_planes(file, damages, shape, first))
        except SourceFileError:
            # What cannot be decoded proves nothing.
            continue


def _digest(plane: PixelArray) -> bytes:
    head = f"{plane.dtype.name} {plane.shape}".encode()
    return head + xxhash.xxh3_128_digest(np.ascontiguousarray(plane).data)
