"""The sub-blocks of a CZI file: where they lie, which plane each is, and their pixels."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imextract.errors import SourceFileError
from imextract.planes import PixelArray
from imextract.readers.source import LARGEST_INDEX, read_exactly, refuse_bomb

__all__ = ["CziBlock", "read_block", "read_directory"]

_SEGMENT = struct.Struct("<16sqq")
# Version, GUIDs, number of the file in a set, place of the directory, of the metadata, dirty.
_FILE_HEADER = struct.Struct("<8x8x32xiqqi")
_DIRECTORY_HEAD = 128
_ENTRY = struct.Struct("<2siqiiB5xi")
_DIMENSION = struct.Struct("<4siifi")
_BLOCK_HEAD = struct.Struct("<iiq")
_BLOCK_HEAD_LEAST = 256
_MOST_DIMENSIONS = 40

# Gray8, Gray16, Gray32Float, Bgr24, Bgr48, Gray32: type and samples per pixel.
_PIXELS = {0: ("u1", 1), 1: ("<u2", 1), 2: ("<f4", 1), 3: ("u1", 3), 4: ("<u2", 3)}
_RAW, _ZSTD, _ZSTD_WITH_HEADER = 0, 5, 6


@dataclass(frozen=True, slots=True)
class CziBlock:
    """A sub-block as the directory of the file tells it.

    Attributes
    ----------
    sizes
        Extent by dimension ("X", "Y", "C", …), in pixels of the full image.
    starts
        First index by dimension.
    is_reduced
        Whether it is of a pyramid: smaller than the part of the image it shows.
    """

    offset: int
    pixel_type: int
    compression: int
    sizes: dict[str, int]
    starts: dict[str, int]
    is_reduced: bool

    @property
    def dtype(self) -> "np.dtype[np.generic] | None":
        """The type of the pixels; None for one that is not read."""
        found = _PIXELS.get(self.pixel_type)
        return None if found is None else np.dtype(found[0])

    @property
    def samples(self) -> int:
        """Samples per pixel, blue first."""
        return _PIXELS.get(self.pixel_type, ("", 0))[1]

    @property
    def is_decodable(self) -> bool:
        """Whether the pixels are of a type and a compression that is read here."""
        known = (_RAW, _ZSTD, _ZSTD_WITH_HEADER)
        return self.dtype is not None and self.compression in known

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, samples)."""
        return self.sizes.get("Y", 0), self.sizes.get("X", 0), self.samples


def read_directory(path: Path, stream: BinaryIO) -> list[CziBlock]:
    """Read the directory of all sub-blocks.

    Raises
    ------
    SourceFileError
        If the file is not whole, was not closed when it was written, or is one of several.
    """
    header = _segment(path, stream, 0, b"ZISRAWFILE")
    part, directory, _, is_dirty = _FILE_HEADER.unpack_from(header)
    if part or is_dirty:
        raise SourceFileError(
            f"{path}: part {part} of a set, or not closed when it was written ({is_dirty}); "
            "read the file with Bio-Formats"
        )
    content = _segment(path, stream, directory, b"ZISRAWDIRECTORY", LARGEST_INDEX)
    return list(_entries(content))


def read_block(path: Path, stream: BinaryIO, block: CziBlock) -> PixelArray:
    """Read the pixels of a sub-block, of shape (height, width, samples).

    Raises
    ------
    SourceFileError
        If it is not whole, or another one than the directory tells.
    """
    content = _segment(path, stream, block.offset, b"ZISRAWSUBBLOCK")
    metadata_size, _, size = _BLOCK_HEAD.unpack_from(content)
    (entry, entry_size) = _entry(content, _BLOCK_HEAD.size)
    start = max(_BLOCK_HEAD_LEAST, _BLOCK_HEAD.size + entry_size) + metadata_size
    if entry != block or size < 0 or metadata_size < 0 or start + size > len(content):
        raise SourceFileError(
            f"{path}: the sub-block at offset {block.offset} is not the one that the directory "
            f"tells, or not whole: {size} bytes of pixels in {len(content)}; "
            "replace the file by a whole one"
        )
    return _decoded(path, block, memoryview(content)[start : start + size])


def _segment(
    path: Path, stream: BinaryIO, offset: int, name: bytes, most: int | None = None
) -> bytes:
    found, _, used = _SEGMENT.unpack(read_exactly(path, stream, offset, _SEGMENT.size))
    if found.rstrip(b"\0") != name:
        raise SourceFileError(
            f"{path}: at offset {offset} expected the segment {name.decode()}, got {found!r}; "
            "replace the file by a whole one"
        )
    return read_exactly(path, stream, offset + _SEGMENT.size, used, most)


def _entries(content: bytes) -> Iterator[CziBlock]:
    (count,) = struct.unpack_from("<i", content)
    position = _DIRECTORY_HEAD
    for _ in range(count):
        block, size = _entry(content, position)
        position += size
        yield block


def _entry(content: bytes, position: int) -> tuple[CziBlock, int]:
    schema, pixel_type, offset, _, compression, pyramid, count = _ENTRY.unpack_from(
        content, position
    )
    if schema != b"DV" or not 0 <= count <= _MOST_DIMENSIONS:
        raise ValueError(f"an entry of schema {schema!r} with {count} dimensions")
    sizes, starts, is_reduced = {}, {}, pyramid != 0
    for index in range(count):
        name, start, size, _, stored = _DIMENSION.unpack_from(
            content, position + _ENTRY.size + index * _DIMENSION.size
        )
        axis = name.rstrip(b"\0").decode("ascii")
        sizes[axis], starts[axis] = size, start
        is_reduced = is_reduced or (axis in "XY" and stored != size)
    block = CziBlock(offset, pixel_type, compression, sizes, starts, is_reduced)
    return block, _ENTRY.size + count * _DIMENSION.size


def _decoded(path: Path, block: CziBlock, stored: memoryview) -> PixelArray:
    dtype = block.dtype
    if dtype is None or not block.is_decodable:
        raise SourceFileError(
            f"{path}: pixels of type {block.pixel_type}, compression {block.compression}; "
            "read the file with Bio-Formats"
        )
    height, width, samples = block.shape
    size = height * width * samples * dtype.itemsize
    refuse_bomb(f"{path}: the sub-block at offset {block.offset}", size, len(stored))
    content = _decompressed(block.compression, stored, size)
    if len(content) != size:
        raise SourceFileError(
            f"{path}: the sub-block at offset {block.offset}: expected {size} bytes of pixels, "
            f"got {len(content)}; replace the file by a whole one"
        )
    pixels: PixelArray = np.frombuffer(content, dtype).reshape(height, width, samples)
    return pixels


def _decompressed(compression: int, stored: memoryview, size: int) -> bytes | memoryview:
    if compression == _RAW:
        return stored
    # Imported when it is needed only.
    from imagecodecs import zstd_decode

    if compression == _ZSTD:
        return bytes(zstd_decode(bytes(stored), out=size))
    head, is_split = _zstd_header(stored)
    content = bytes(zstd_decode(bytes(stored[head:]), out=size))
    if not is_split:
        return content
    # The low bytes of all pixels come first, then the high bytes.
    return np.frombuffer(content, np.uint8).reshape(2, -1).T.tobytes()


def _zstd_header(stored: memoryview) -> tuple[int, bool]:
    """Give the size of the header and whether bytes are split."""
    head = stored[0]
    if head == 1:
        return head, False
    if head == 3 and stored[1] == 1:
        return head, bool(stored[2] & 1)
    raise ValueError(f"an unknown header of Zstd data: {bytes(stored[:3])!r}")
