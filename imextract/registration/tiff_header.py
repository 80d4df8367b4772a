"""The header of a plain TIFF, read fast: sizes, type and where its pixels end.

A plate has tens of thousands of files, so that a few reads and no object per
tag count. Whatever is not plain is for slower readers to say.
"""

import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imextract.planes import SeriesStructure
from imextract.readers.tiff_structure import MOST_DIRECTORIES, most_value_bytes

__all__ = ["TiffHeader", "read_tiff_header"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_PHOTOMETRIC, _FILL_ORDER, _DESCRIPTION = 262, 266, 270
_STRIP_OFFSETS, _SAMPLES, _STRIP_SIZES = 273, 277, 279
_TILE_OFFSETS, _TILE_SIZES, _SUB_DIRECTORIES = 324, 325, 330
_SAMPLE_FORMAT, _STK_PLANES, _DEPTH = 339, 33629, 32997
_SUBFILE_TYPE = 254
# Tags of the TIFF standard proper; vendors take numbers beyond.
_LAST_COMMON_TAG = 350
_NUMBERS = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 13: ("I", 4), 16: ("Q", 8), 18: ("Q", 8)}
_SIZES = {2: 1, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8} | {
    kind: size for kind, (_, size) in _NUMBERS.items()
}
_KINDS = {
    (1, 8): "uint8",
    (1, 16): "uint16",
    (1, 32): "uint32",
    (2, 8): "int8",
    (2, 16): "int16",
    (2, 32): "int32",
    (3, 32): "float32",
    (3, 64): "float64",
}
# None, LZW, both names of deflate, PackBits: both readers decode these alike.
_PLAIN_COMPRESSIONS = frozenset({1, 5, 8, 32946, 32773})
_BLACK_IS_ZERO = 1
_MAGIC = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
_HEAD_BYTES = 2048
_LARGEST_DIRECTORY = 4096
_LARGEST_VALUE = 64 * 2**20
_MOST_PLANES_OF_STACK = 1_000_000
# Such descriptions may tell of planes that no directory stands for.
_TELLS_MORE = (b'{"shape"', b"shape=", b"SCANIMAGE")
# ImageJ says how many, as Micro-Manager does, that writes a directory for each.
_SHAPE = re.compile(rb'\{"shape": \[([0-9]+(?:, [0-9]+)*)\]')
_IMAGEJ = b"ImageJ="
_DESCRIPTION_BYTES = 256
_IMAGEJ_COUNTS = re.compile(rb"\n(?:images|channels|slices|frames)=([0-9]+)")


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What a plain TIFF holds: a series of equal pages, taken as time points.

    The planes of a MetaMorph stack (STK), which has one directory, count as pages.
    `is_bare` tells that neither a tag nor a description may be of a vendor's own.
    """

    structure: SeriesStructure
    end_of_pixels: int
    is_bare: bool


@dataclass(frozen=True, slots=True)
class _Page:
    width: int
    height: int
    dtype: str
    compression: int
    end_of_pixels: int
    planes: int
    is_stack: bool
    is_bare: bool


def read_tiff_header(path: Path) -> TiffHeader | None:
    """Read the header of a plain TIFF; None for any other file, or where in doubt."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return _header(_File(descriptor))
    except (OSError, struct.error, _NotPlainError, OverflowError):
        return None
    finally:
        os.close(descriptor)


class _NotPlainError(Exception):
    """The file is not what this module reads."""


class _File:
    """An open file whose first bytes are kept, as most headers lie there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._head = os.pread(descriptor, _HEAD_BYTES, 0)
        self._left = most_value_bytes(os.fstat(descriptor).st_size)

    def bytes(self, offset: int, size: int) -> bytes:
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        self._left -= size
        if size > _LARGEST_VALUE or self._left < 0:
            raise _NotPlainError
        return os.pread(self._descriptor, size, offset)


def _header(file: _File) -> TiffHeader:
    pages = list(_pages(file))
    first = pages[0]
    if any(
        (page.width, page.height, page.dtype, page.compression)
        != (first.width, first.height, first.dtype, first.compression)
        for page in pages
    ):
        raise _NotPlainError
    is_only = len(pages) == 1
    if (first.is_stack and is_only) or (first.planes > 1 and not is_only):
        raise _NotPlainError
    planes = max(len(pages), first.planes)
    structure = SeriesStructure(first.width, first.height, 1, 1, planes, first.dtype, "XYCZT")
    return TiffHeader(structure, max(page.end_of_pixels for page in pages), first.is_bare)


def _pages(file: _File) -> Iterator[_Page]:
    magic = file.bytes(0, 4)
    if magic not in _MAGIC:
        raise _NotPlainError
    order, is_big = _MAGIC[magic]
    (offset,) = (
        struct.unpack(order + "Q", file.bytes(8, 8))
        if is_big
        else struct.unpack(order + "I", file.bytes(4, 4))
    )
    seen: set[int] = set()
    while offset or not seen:
        if offset in seen or len(seen) >= MOST_DIRECTORIES:
            raise _NotPlainError
        seen.add(offset)
        directory = _Directory(file, order, is_big, offset)
        yield directory.page()
        offset = directory.following


class _Directory:
    """One directory of a TIFF; tags are looked up, not copied."""

    def __init__(self, file: _File, order: str, is_big: bool, offset: int) -> None:
        self._file = file
        self._order = order
        head, self._form, pointer = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
        head_size, entry_size = struct.calcsize(f"={head}"), struct.calcsize(f"={self._form}")
        (count,) = struct.unpack(order + head, file.bytes(offset, head_size))
        if not 0 < count <= _LARGEST_DIRECTORY:
            raise _NotPlainError
        size = count * entry_size
        table = file.bytes(offset + head_size, size + struct.calcsize(f"={pointer}"))
        self._inline = 8 if is_big else 4
        self._pointer = order + pointer
        (self.following,) = struct.unpack_from(self._pointer, table, size)
        self._tags = {
            tag: (kind, values, value)
            for tag, kind, values, value in struct.iter_unpack(order + self._form, table[:size])
        }

    def page(self) -> _Page:
        """Give the page of the directory, if it is plain."""
        self._refuse_unusual()
        bits, form = self._number(_BITS, 1), self._number(_SAMPLE_FORMAT, 1)
        dtype = _KINDS.get((form, bits))
        width, height = self._number(_WIDTH, 0), self._number(_HEIGHT, 0)
        if dtype is None or width < 1 or height < 1:
            raise _NotPlainError
        return _Page(
            width,
            height,
            dtype,
            self._number(_COMPRESSION, 1),
            self._end_of_pixels(width * height * bits // 8),
            self._planes(),
            self._is_stack_of_imagej(),
            max(self._tags) <= _LAST_COMMON_TAG and b"<" not in self._description(),
        )

    def _planes(self) -> int:
        """Count the planes of a MetaMorph stack: they lie one after the other."""
        return self._tags[_STK_PLANES][1] if _STK_PLANES in self._tags else 1

    def _is_stack_of_imagej(self) -> bool:
        """Tell whether ImageJ may have put more planes behind this one's."""
        text = self._description()
        return text.startswith(_IMAGEJ) and any(
            int(count) > 1 for count in _IMAGEJ_COUNTS.findall(text)
        )

    def _refuse_unusual(self) -> None:
        if (
            self._number(_SAMPLES, 1) != 1
            or self._number(_DEPTH, 1) != 1
            or self._number(_FILL_ORDER, 1) != 1
            or self._number(_PHOTOMETRIC, _BLACK_IS_ZERO) != _BLACK_IS_ZERO
            or self._number(_COMPRESSION, 1) not in _PLAIN_COMPRESSIONS
            or self._number(_SUBFILE_TYPE, 0) & 1
            or _SUB_DIRECTORIES in self._tags
            or not 0 < self._planes() <= _MOST_PLANES_OF_STACK
            or self._tells_more()
        ):
            raise _NotPlainError

    def _tells_more(self) -> bool:
        """Tell whether the description may tell of more planes than there are directories."""
        text = self._description().lstrip()
        shape = _SHAPE.match(text)
        if shape is not None:
            # As tifffile writes it by default: plain if it is that of this one page.
            page = self._number(_WIDTH, 0) * self._number(_HEIGHT, 0)
            return math.prod(map(int, shape[1].split(b","))) != page
        return text.startswith(_TELLS_MORE)

    def _end_of_pixels(self, declared: int) -> int:
        pairs = ((_STRIP_OFFSETS, _STRIP_SIZES), (_TILE_OFFSETS, _TILE_SIZES))
        for offsets_tag, sizes_tag in pairs:
            if offsets_tag in self._tags and sizes_tag in self._tags:
                offsets, sizes = self._numbers(offsets_tag), self._numbers(sizes_tag)
                if len(offsets) != len(sizes) or not offsets:
                    raise _NotPlainError
                is_short = self._number(_COMPRESSION, 1) == 1 and sum(sizes) < declared
                if is_short or min(offsets) < 1 or min(sizes) < 1:
                    raise _NotPlainError
                return max(map(sum, zip(offsets, sizes, strict=True))) + self._end_of_stack(
                    offsets, sizes, declared
                )
        raise _NotPlainError

    def _end_of_stack(self, offsets: tuple[int, ...], sizes: tuple[int, ...], declared: int) -> int:
        """Give how many bytes of further planes follow the first one's."""
        if self._planes() == 1:
            return 0
        ends = tuple(map(sum, zip(offsets, sizes, strict=True)))
        is_contiguous = offsets[1:] == ends[:-1] and sum(sizes) == declared
        if not is_contiguous or self._number(_COMPRESSION, 1) != 1:
            raise _NotPlainError
        return (self._planes() - 1) * declared

    def _description(self) -> bytes:
        kind, count, value = self._tags.get(_DESCRIPTION, (2, 0, b""))
        if kind != 2:
            return b""
        return self._value(min(count, _DESCRIPTION_BYTES), count, value)

    def _number(self, tag: int, default: int) -> int:
        return self._numbers(tag)[0] if tag in self._tags else default

    def _numbers(self, tag: int) -> tuple[int, ...]:
        kind, count, value = self._tags[tag]
        if kind not in _NUMBERS or count < 1:
            raise _NotPlainError
        form, size = _NUMBERS[kind]
        stored = self._value(count * size, count * size, value)
        return struct.unpack(f"{self._order}{count}{form}", stored)

    def _value(self, wanted: int, size: int, value: bytes) -> bytes:
        if size <= self._inline:
            return value[:wanted]
        (offset,) = struct.unpack(self._pointer, value)
        return self._file.bytes(offset, wanted)
