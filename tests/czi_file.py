"""CZI files as their specification says, for tests."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from imagecodecs import zstd_encode

from imextract.planes import PixelArray

_PIXEL_TYPES = {("uint8", 1): 0, ("uint16", 1): 1, ("float32", 1): 2, ("uint8", 3): 3}
_GUIDS = bytes(32)
_METADATA = (
    b"<ImageDocument><Metadata><Information><Image/></Information></Metadata></ImageDocument>"
)


@dataclass(frozen=True)
class Block:
    """A sub-block: pixels of shape (height, width) or (height, width, 3), blue first.

    `stored` is what is written in the place of the pixels, where they lie.
    """

    pixels: PixelArray
    at: Mapping[str, int]
    compression: int = 0
    zoom: int = 1

    def entry(self, offset: int) -> bytes:
        height, width = self.pixels.shape[:2]
        samples = 1 if self.pixels.ndim == 2 else 3
        pixel_type = _PIXEL_TYPES[self.pixels.dtype.name, samples]
        axes = [
            ("X", 0, width * self.zoom, width),
            ("Y", 0, height * self.zoom, height),
            *((axis, start, 1, 1) for axis, start in self.at.items()),
        ]
        head = struct.pack(
            "<2siqiiB5xi", b"DV", pixel_type, offset, 0, self.compression, 0, len(axes)
        )
        return head + b"".join(
            struct.pack("<4siifi", axis.encode(), start, size, 0, stored)
            for axis, start, size, stored in axes
        )

    def data(self) -> bytes:
        raw = np.ascontiguousarray(self.pixels).tobytes()
        if self.compression == 0:
            return raw
        if self.compression == 5:
            return bytes(zstd_encode(raw))
        split = np.frombuffer(raw, np.uint8).reshape(-1, self.pixels.itemsize).T.tobytes()
        return b"\x03\x01\x01" + bytes(zstd_encode(split))


def write_czi(
    path: Path, blocks: Sequence[Block], *, part: int = 0, is_dirty: bool = False
) -> Path:
    """Write a CZI; the directory lies behind the sub-blocks."""
    offset = 32 + 512
    body, entries = b"", b""
    for block in blocks:
        entry = block.entry(offset + len(body))
        data = block.data()
        head = (struct.pack("<iiq", 0, 0, len(data)) + entry).ljust(256, b"\0")
        body += _segment(b"ZISRAWSUBBLOCK", head + data)
        entries += entry
    directory = struct.pack("<i", len(blocks)).ljust(128, b"\0") + entries
    metadata_at = offset + len(body)
    metadata = struct.pack("<ii", len(_METADATA), 0).ljust(256, b"\0") + _METADATA
    body += _segment(b"ZISRAWMETADATA", metadata)
    header = struct.pack("<iiii", 1, 0, 0, 0) + _GUIDS
    header += struct.pack("<iqqi", part, offset + len(body), metadata_at, is_dirty)
    path.write_bytes(
        _segment(b"ZISRAWFILE", header.ljust(512, b"\0"))
        + body
        + _segment(b"ZISRAWDIRECTORY", directory)
    )
    return path


def _segment(name: bytes, content: bytes) -> bytes:
    # Bio-Formats looks for segments at multiples of 32 only.
    padded = content.ljust(-(-len(content) // 32) * 32, b"\0")
    return struct.pack("<16sqq", name, len(padded), len(content)) + padded
