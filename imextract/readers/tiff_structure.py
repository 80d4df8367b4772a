"""Whether a TIFF is whole: every directory and all pixels lie inside the file.

Bio-Formats answers a truncated TIFF with zeros and without a word, so the
structure is checked here, without decoding anything.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError
from imextract.readers.source import open_source

__all__ = [
    "MOST_DIRECTORIES",
    "TiffContent",
    "check_tiff",
    "check_tiff_stream",
    "is_tiff",
    "leads_back",
    "most_value_bytes",
]

# More take minutes to read, by whichever reader.
MOST_DIRECTORIES = 250_000

_SUBFILE_TYPE = 254
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_PHOTOMETRIC, _DESCRIPTION = 262, 270
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_SIZES = 273, 277, 278, 279
_TILE_OFFSETS, _TILE_SIZES, _SUB_DIRECTORIES = 324, 325, 330
_JPEG_OFFSET, _JPEG_SIZE = 513, 514
_STK_PLANES = 33629
_READ = frozenset(
    {
        _SUBFILE_TYPE,
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _DESCRIPTION,
        _STRIP_OFFSETS,
    }
    | {_SAMPLES, _ROWS_PER_STRIP, _STRIP_SIZES, _TILE_OFFSETS, _TILE_SIZES, _SUB_DIRECTORIES}
    | {_JPEG_OFFSET, _JPEG_SIZE, _STK_PLANES}
)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAGIC = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
# Directories may share a value, such as a table of colours, but not all that there is:
# a small file would take for ever.
_MOST_TIMES_SHARED = 2
_SHARED_BY_ANY = 16 * 2**20
_LARGEST_VALUE = 512 * 2**20
_UNCOMPRESSED = 1
_YCBCR = 6
# ImageJ writes one directory for a whole stack beyond 4 GB.
_IMAGEJ = re.compile(rb"ImageJ=[^\n]*\nimages=(\d+)")


@dataclass(frozen=True, slots=True)
class TiffContent:
    """What a whole TIFF declares.

    Attributes
    ----------
    plane_count
        Samples of RGB images count singly.
    is_plain
        Whether all pixels are stored as they are, in strips that each have just the bytes of
        their rows: they cannot fail to decode.
    """

    plane_count: int
    is_plain: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    type: int
    count: int
    position: int
    size: int


def is_tiff(path: Path) -> bool:
    """Whether an ordinary, readable file begins as a TIFF or BigTIFF does."""
    try:
        with open_source(path) as stream:
            return stream.read(4) in _MAGIC
    except SourceFileError:
        return False


def leads_back(path: Path) -> bool:
    """Tell whether the directories of a TIFF go round in a circle.

    Whatever else is wrong with the file is for who reads it to say.
    """
    try:
        with open_source(path) as stream:
            return _TiffFile(path, stream).leads_back()
    except SourceFileError:
        return False


def most_value_bytes(length: int) -> int:
    """Give how many bytes of values the directories of a file of such a length may name in all."""
    return _MOST_TIMES_SHARED * length + _SHARED_BY_ANY


def check_tiff(path: Path) -> TiffContent:
    """Check that all that a TIFF declares lies inside the file.

    Raises
    ------
    SourceFileError
        If it does not, or the file is no TIFF.
    """
    with open_source(path) as stream:
        return check_tiff_stream(path, stream)


def check_tiff_stream(path: Path, stream: BinaryIO) -> TiffContent:
    """Check a TIFF that lies inside another file, as `check_tiff`."""
    return _TiffFile(path, stream).check()


class _TiffFile:
    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._length = stream.seek(0, 2)
        self._value_bytes = 0
        magic = self._bytes(0, 4, "the header")
        if magic not in _MAGIC:
            raise SourceFileError(
                f"{path}: expected a TIFF (II*, MM*), got {magic!r} at offset 0; "
                "replace the file by a whole one"
            )
        self._order, self._is_big = _MAGIC[magic]

    def leads_back(self) -> bool:
        offset = self._integers(_Entry(*self._first_pointer()), "the first directory")[0]
        seen: set[int] = set()
        while offset and len(seen) < MOST_DIRECTORIES:
            if offset in seen:
                return True
            seen.add(offset)
            _, offset = self._directory(offset)
        return False

    def check(self) -> TiffContent:
        directories = list(self._directories())
        if not directories:
            raise SourceFileError(f"{self._path}: a TIFF without any image; replace the file")
        are_plain = [self._check_pixels(*numbered) for numbered in enumerate(directories)]
        whole = [entries for entries in directories if not self._is_reduced(entries)]
        pages = whole or directories
        count = sum(self._value(entries, _SAMPLES, 1) for entries in pages)
        if len(pages) == 1:
            count *= self._check_hidden_planes(pages[0])
        return TiffContent(count, is_plain=all(are_plain))

    def _is_reduced(self, entries: dict[int, _Entry]) -> bool:
        """Whether a directory holds a thumbnail or a smaller copy of another."""
        return bool(self._value(entries, _SUBFILE_TYPE, 0) & 1)

    def _directories(self) -> Iterator[dict[int, _Entry]]:
        seen: set[int] = set()
        waiting = [self._integers(_Entry(*self._first_pointer()), "the first directory")[0]]
        while waiting:
            offset = waiting.pop()
            while offset:
                if offset in seen:
                    raise self._damage(offset, "a new directory", "one that was there before")
                seen.add(offset)
                if len(seen) + len(waiting) > MOST_DIRECTORIES:
                    raise SourceFileError(
                        f"{self._path}: more than {MOST_DIRECTORIES} directories, which takes too "
                        "long to read; split the file"
                    )
                entries, after = self._directory(offset)
                if _SUB_DIRECTORIES in entries:
                    waiting.extend(self._integers(entries[_SUB_DIRECTORIES], "sub-directories"))
                yield entries
                offset = after

    def _first_pointer(self) -> tuple[int, int, int, int]:
        return (16, 1, 8, 8) if self._is_big else (4, 1, 4, 4)

    def _directory(self, offset: int) -> tuple[dict[int, _Entry], int]:
        head, entry_form, pointer = ("Q", "HHQ", "Q") if self._is_big else ("H", "HHI", "I")
        (count,) = self._unpack(offset, head, "the size of a directory")
        step = 20 if self._is_big else 12
        start = offset + struct.calcsize(f"={head}")
        table = self._bytes(start, count * step + struct.calcsize(f"={pointer}"), "a directory")
        entries = {}
        for index in range(count):
            tag, kind, values = struct.unpack_from(self._order + entry_form, table, index * step)
            self._count_value(offset, _SIZES.get(kind, 1) * values)
            if tag in _READ:
                entries[tag] = self._entry(kind, values, start + index * step)
        (after,) = struct.unpack_from(self._order + pointer, table, count * step)
        return entries, after

    def _count_value(self, offset: int, size: int) -> None:
        # What is larger than the file is refused when it is read, or never read.
        self._value_bytes += size if size <= self._length else 0
        most = most_value_bytes(self._length)
        if self._value_bytes > most:
            raise self._damage(offset, f"at most {most} bytes of values", f"{self._value_bytes}")

    def _entry(self, kind: int, count: int, position: int) -> _Entry:
        size = _SIZES.get(kind, 1) * count
        inline, offset_at = (8, position + 12) if self._is_big else (4, position + 8)
        if size > inline:
            (offset_at,) = self._unpack(offset_at, "Q" if self._is_big else "I", "a value")
        return _Entry(kind, count, offset_at, size)

    def _check_pixels(self, number: int, entries: dict[int, _Entry]) -> bool:
        """Check that pixels are there, and say whether none of them can fail to decode."""
        pairs = ((_STRIP_OFFSETS, _STRIP_SIZES), (_TILE_OFFSETS, _TILE_SIZES))
        found = [pair for pair in pairs if pair[0] in entries]
        if not found and _JPEG_OFFSET in entries:
            found = [(_JPEG_OFFSET, _JPEG_SIZE)]
        if not found:
            raise SourceFileError(
                f"{self._path}: page {number} has neither strips nor tiles; replace the file"
            )
        for offsets_tag, sizes_tag in found:
            offsets = self._integers(entries[offsets_tag], f"offsets of page {number}")
            sizes = self._segment_sizes(entries, sizes_tag, len(offsets), number)
            self._check_segments(number, offsets, sizes)
            self._check_amount(number, entries, offsets, sum(sizes))
        # Tiles have more bytes than the page has pixels, so that one may have too few.
        is_in_strips = offsets_tag == _STRIP_OFFSETS
        return is_in_strips and self._is_plain(entries) and self._is_even(number, entries, sizes)

    def _segment_sizes(
        self, entries: dict[int, _Entry], tag: int, count: int, number: int
    ) -> list[int]:
        if tag in entries:
            sizes = self._integers(entries[tag], f"byte counts of page {number}")
        elif count == 1:
            sizes = [_declared_bytes(self._shape(entries, number))]
        else:
            sizes = []
        if len(sizes) != count:
            raise SourceFileError(
                f"{self._path}: page {number}: expected {count} byte counts, got {len(sizes)}; "
                "replace the file"
            )
        return sizes

    def _check_segments(self, number: int, offsets: list[int], sizes: list[int]) -> None:
        for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
            if size == 0 or offset == 0:
                raise self._damage(
                    offset, f"pixels in strip or tile {index} of page {number}", "none"
                )
            if offset + size > self._length:
                raise self._damage(
                    offset,
                    f"{size} bytes for strip or tile {index} of page {number}",
                    f"{max(self._length - offset, 0)}",
                )

    def _check_amount(
        self, number: int, entries: dict[int, _Entry], offsets: list[int], stored: int
    ) -> None:
        if not self._is_plain(entries):
            return
        declared = _declared_bytes(self._shape(entries, number))
        if stored < declared:
            raise self._damage(offsets[0], f"{declared} bytes for page {number}", f"{stored}")

    def _is_plain(self, entries: dict[int, _Entry]) -> bool:
        """Whether pixels are stored one after the other, uncompressed."""
        compression = self._value(entries, _COMPRESSION, _UNCOMPRESSED)
        return compression == _UNCOMPRESSED and self._value(entries, _PHOTOMETRIC, 1) != _YCBCR

    def _is_even(self, number: int, entries: dict[int, _Entry], sizes: list[int]) -> bool:
        """Whether every strip has just the bytes of its rows."""
        width, height, bits = self._shape(entries, number)
        rows = min(self._value(entries, _ROWS_PER_STRIP, height), height) or 1
        row_bytes = _declared_bytes((width, 1, bits))
        *others, last = sizes
        return (
            len(sizes) == -(-height // rows)
            and all(size == rows * row_bytes for size in others)
            and last == (height - rows * len(others)) * row_bytes
        )

    def _check_hidden_planes(self, entries: dict[int, _Entry]) -> int:
        """Check and count planes that share the one directory of the file."""
        count = self._plane_count(entries)
        if count == 1 or _STRIP_OFFSETS not in entries or not self._is_plain(entries):
            return count
        start = self._integers(entries[_STRIP_OFFSETS], "offsets of page 0")[0]
        declared = _declared_bytes(self._shape(entries, 0)) * count
        if start + declared > self._length:
            raise self._damage(
                start, f"{declared} bytes for {count} planes", f"{self._length - start}"
            )
        return count

    def _plane_count(self, entries: dict[int, _Entry]) -> int:
        if _STK_PLANES in entries:
            return entries[_STK_PLANES].count
        if _DESCRIPTION in entries:
            entry = entries[_DESCRIPTION]
            found = _IMAGEJ.match(self._bytes(entry.position, entry.size, "the description"))
            return int(found[1]) if found else 1
        return 1

    def _shape(self, entries: dict[int, _Entry], number: int) -> tuple[int, int, int]:
        """Give width, height and bits per pixel."""
        if _WIDTH not in entries or _HEIGHT not in entries:
            raise SourceFileError(f"{self._path}: page {number} has no size; replace the file")
        samples = self._value(entries, _SAMPLES, 1)
        bits = self._integers(entries[_BITS], "bits") if _BITS in entries else [1]
        total = sum(bits) if len(bits) == samples else bits[0] * samples
        return self._value(entries, _WIDTH, 0), self._value(entries, _HEIGHT, 0), total

    def _value(self, entries: dict[int, _Entry], tag: int, default: int) -> int:
        return self._integers(entries[tag], f"tag {tag}")[0] if tag in entries else default

    def _integers(self, entry: _Entry, what: str) -> list[int]:
        form = _INTEGERS.get(entry.type)
        if form is None or entry.count == 0:
            raise self._damage(entry.position, f"integers for {what}", f"type {entry.type}")
        values = self._bytes(entry.position, entry.size, what)
        return list(struct.unpack(f"{self._order}{entry.count}{form}", values))

    def _unpack(self, offset: int, form: str, what: str) -> tuple[int, ...]:
        size = struct.calcsize(f"={form}")
        return struct.unpack(self._order + form, self._bytes(offset, size, what))

    def _bytes(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self._length:
            raise self._damage(
                offset, f"{size} bytes for {what}", f"{max(self._length - offset, 0)}"
            )
        if size > _LARGEST_VALUE:
            # The length of a file says nothing: most of it may be a hole.
            raise self._damage(offset, f"at most {_LARGEST_VALUE} bytes for {what}", f"{size}")
        self._stream.seek(offset)
        return self._stream.read(size)

    def _damage(self, offset: int, expected: str, got: str) -> SourceFileError:
        return SourceFileError(
            f"{self._path}: at offset {offset} expected {expected}, got {got} "
            f"(the file has {self._length} bytes); replace it by a whole one"
        )


def _declared_bytes(shape: tuple[int, int, int]) -> int:
    width, height, bits = shape
    return (width * bits + 7) // 8 * height
