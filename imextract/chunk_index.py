"""Where the chunks of a stored plane lie, and their checksums: an index in the head of its file.

HDF5 finds chunks as well, but slowly: opening a file and asking it takes longer
than reading and decompressing a region, and one thread at a time may do it. To
HDF5 the index is the dataset ``index``, of bytes; we find it by how it begins.
"""

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import xxhash

from imextract.chunks import Bytes, ChunkLayout, Offset
from imextract.compression import Pipeline
from imextract.planes import PIXEL_TYPES

__all__ = [
    "IDENTIFYING",
    "ChunkIndex",
    "ChunkPlace",
    "FileRange",
    "chunk_checksum",
    "chunk_table",
]

# The attributes that tell whose the pixels are, which the index holds as well.
IDENTIFYING = ("plane_id", "storage_key", "checksum")

# Gives the bytes of a file from a start on, that many.
FileRange: TypeAlias = Callable[[int, int], Bytes]

# First byte, size and checksum of a chunk.
ChunkPlace: TypeAlias = tuple[int, int, int]

# It stands before everything that users name, so that no text of theirs is taken for it.
_MAGIC = bytes.fromhex("59b3ae1c7bca91c8ebb7bf495ae03dbb")
_START = struct.Struct("<16s16sQ")
_PLACE = struct.Struct("<3Q")
_HEAD_BYTES = 4096
# That of a plane as large as Java can give has 800 kB.
_MOST_BYTES = 2**24
# Ours have 2**16 at most; whoever forges more shall not take all memory.
_MOST_PIXELS_OF_CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class ChunkIndex:
    """All that is needed to read the pixels of a plane's file.

    Attributes
    ----------
    dtype
        NumPy name of the pixel type; stored little-endian.
    identity
        The attributes of `IDENTIFYING` that the file has.
    table
        A `ChunkPlace` for each chunk, row by row.
    """

    layout: ChunkLayout
    dtype: str
    pipeline: Pipeline
    identity: Mapping[str, str | int | float]
    table: bytes

    @classmethod
    def blank(
        cls,
        layout: ChunkLayout,
        dtype: str,
        pipeline: Pipeline,
        attributes: Mapping[str, str | int | float],
    ) -> "ChunkIndex":
        """Give an index of chunks that are nowhere yet."""
        identity = {name: attributes[name] for name in IDENTIFYING if name in attributes}
        chunks = sum(1 for _ in layout.offsets_in(0, 0, *layout.shape))
        return cls(layout, dtype, pipeline, identity, bytes(chunks * _PLACE.size))

    @classmethod
    def read(cls, file: FileRange) -> "ChunkIndex":
        """Find the index of a file.

        Raises
        ------
        ValueError
            If there is none, or it is not what was written.
        """
        head = bytes(file(0, _HEAD_BYTES))
        at = head.find(_MAGIC)
        if not 0 <= at <= len(head) - _START.size:
            raise ValueError("no index of chunks in its head")
        _, checksum, size = _START.unpack_from(head, at)
        content = bytes(file(at + _START.size, min(size, _MOST_BYTES)))
        if len(content) != size or xxhash.xxh3_128_digest(content) != checksum:
            raise ValueError("the checksum of its index of chunks does not fit")
        return cls._decode(content)

    @classmethod
    def _decode(cls, content: bytes) -> "ChunkIndex":
        text, _, table = content.partition(b"\n")
        told = json.loads(text)
        (height, width), (rows, columns) = told["shape"], told["chunk"]
        pipeline = Pipeline(told["filter"], is_shuffled=told["is_shuffled"])
        layout = ChunkLayout((height, width), (rows, columns))
        index = cls(layout, told["dtype"], pipeline, told["identity"], table)
        if not index._makes_sense():
            raise ValueError("its index of chunks makes no sense")
        return index

    def _makes_sense(self) -> bool:
        """Whether it is as ours are: its checksum tells damage, but whoever forges has one too."""
        (height, width), (rows, columns) = self.layout.shape, self.layout.chunk
        if not all(type(length) is int and length > 0 for length in (height, width, rows, columns)):
            return False
        chunks = -(-height // rows) * -(-width // columns)
        return (
            rows * columns <= _MOST_PIXELS_OF_CHUNK
            and len(self.table) == chunks * _PLACE.size
            and self.dtype in PIXEL_TYPES
            and isinstance(self.identity, dict)
        )

    def encode(self) -> bytes:
        """Give the bytes of the index, as many for any chunks of this layout.

        Raises
        ------
        ValueError
            If there are more than are ever read.
        """
        told = {
            "shape": self.layout.shape,
            "chunk": self.layout.chunk,
            "dtype": self.dtype,
            "filter": self.pipeline.filter_number,
            "is_shuffled": self.pipeline.is_shuffled,
            "identity": self.identity,
        }
        content = json.dumps(told).encode() + b"\n" + self.table
        if len(content) > _MOST_BYTES:
            raise ValueError(f"an index of {len(content)} bytes, expected at most {_MOST_BYTES}")
        return _START.pack(_MAGIC, xxhash.xxh3_128_digest(content), len(content)) + content

    def place(self, offset: Offset) -> ChunkPlace:
        """Tell where a chunk lies, by its first row and column in the plane."""
        start, size, checksum = _PLACE.unpack_from(self.table, self._number(offset) * _PLACE.size)
        return start, size, checksum

    def _number(self, offset: Offset) -> int:
        rows, columns = self.layout.chunk
        in_a_row = -(-self.layout.shape[1] // columns)
        return offset[0] // rows * in_a_row + offset[1] // columns


def chunk_table(places: Iterable[ChunkPlace]) -> bytes:
    """Give the table of chunks, row by row."""
    return b"".join(_PLACE.pack(*place) for place in places)


def chunk_checksum(content: Bytes) -> int:
    """Give the XXH3-64 of a chunk as it is stored."""
    return xxhash.xxh3_64_intdigest(content)
