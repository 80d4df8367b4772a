"""The chunks that an ND2 file is made of, each with its own name before it.

The map of the chunks lies at the end, so that a truncated file has none.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError
from imextract.readers.read_ahead import Part
from imextract.readers.source import LARGEST_INDEX, read_exactly

__all__ = ["Nd2Chunks"]

_MAGIC = 0x0ABECEDA
_HEAD = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_MAP_NAME = b"ND2 FILEMAP SIGNATURE NAME 0001!"
_MAP_END = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_LONGEST_NAME = 2**16


class Nd2Chunks:
    """The chunks of an opened ND2 file.

    Raises
    ------
    SourceFileError
        If there is no map at the end of the file.
    """

    def __init__(self, path: Path, stream: BinaryIO, length: int) -> None:
        self._path = path
        self._stream = stream
        tail = read_exactly(path, stream, length - 40, 40)
        if tail[:32] != _MAP_END:
            raise SourceFileError(
                f"{path}: expected the map of its chunks at the end, got {tail[:32]!r}; "
                "replace the file by a whole one"
            )
        at = int.from_bytes(tail[32:], "little")
        self._places = _places(self._content(at, _MAP_NAME, LARGEST_INDEX))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: bytes) -> bool:
        return name in self._places

    def parts(self, name: bytes, most: int) -> Iterable[Part]:
        """Tell where the first bytes of a chunk lie, if it is in the file."""
        return [(self._places[name], most)] if name in self._places else []

    def read(self, name: bytes, most: int | None = None) -> bytes:
        """Give the content of a chunk, of so many bytes at most.

        Raises
        ------
        SourceFileError
            If there is no such chunk, another one where it should be, or a larger one.
        """
        if name not in self._places:
            raise SourceFileError(
                f"{self._path}: no chunk {name.decode('latin-1')!r} is in the file; "
                "replace it by a whole one"
            )
        return self._content(self._places[name], name, most)

    def _content(self, offset: int, name: bytes, most: int | None = None) -> bytes:
        head = read_exactly(self._path, self._stream, offset, _HEAD.size)
        magic, name_size, size = _HEAD.unpack(head)
        is_chunk = magic == _MAGIC and len(name) <= name_size <= _LONGEST_NAME
        start = offset + _HEAD.size
        found = read_exactly(self._path, self._stream, start, len(name)) if is_chunk else b""
        if found != name:
            raise SourceFileError(
                f"{self._path}: at offset {offset} expected the chunk {name.decode('latin-1')!r}, "
                f"got {head + found!r}; replace the file by a whole one"
            )
        return read_exactly(self._path, self._stream, start + name_size, size, most)


def _places(chunk_map: bytes) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    position = 0
    while True:
        after = chunk_map.index(b"!", position) + 1
        name = chunk_map[position:after]
        if name == _MAP_END:
            return places
        places[name], _ = _PLACE.unpack_from(chunk_map, after)
        position = after + _PLACE.size
