"""CZI and ND2 whose tables lead round in circles, or declare more than there is, are refused."""

import os
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from nd2.structures import Attributes

from imextract.errors import SourceFileError
from imextract.readers.czi import CziReader
from imextract.readers.native import NativeReader
from imextract.readers.nd2 import Nd2Reader
from imextract.readers.nd2_chunks import Nd2Chunks
from tests.czi_file import Block, write_czi
from tests.support import noise

_MOST_SECONDS = 5
_TERABYTE = 2**40
_MAP_NAME, _MAP_END = b"ND2 FILEMAP SIGNATURE NAME 0001!", b"ND2 CHUNK MAP SIGNATURE 0000001!"
_DIRECTORY_AT, _SEGMENT, _ENTRIES = 32 + 52, 32, 32 + 128


def czi(path: Path, change: Callable[[bytearray, int], None]) -> None:
    """Write a CZI of one plane, changed by what is given the place of its directory."""
    write_czi(path, [Block(noise(4, 4), {"C": 0})])
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<q", content, _DIRECTORY_AT)
    change(content, directory)
    path.write_bytes(content)


def entries_without_end(content: bytearray, at: int) -> None:
    struct.pack_into("<i", content, at + _SEGMENT, 2**31 - 1)


def directory_is_the_header(content: bytearray, at: int) -> None:
    struct.pack_into("<q", content, _DIRECTORY_AT, 0)


def directory_of_a_hole(content: bytearray, at: int) -> None:
    struct.pack_into("<qqi", content, at + 16, _TERABYTE // 2, _TERABYTE // 2, 2**31 - 1)


def czi_of_a_hole(path: Path) -> None:
    czi(path, directory_of_a_hole)
    os.truncate(path, _TERABYTE)


def nd2(path: Path, map_at: int, size: int) -> None:
    """Write the head of a map of chunks, and the end of the file a terabyte behind it."""
    head = struct.pack("<IIQ", 0x0ABECEDA, len(_MAP_NAME), size) + _MAP_NAME
    path.write_bytes(head)
    os.truncate(path, _TERABYTE)
    with path.open("ab") as stream:
        stream.write(_MAP_END + struct.pack("<Q", map_at))


def nd2_bomb(path: Path) -> None:
    """Write an ND2 of attributes that inflate to a gigabyte."""
    name = b"ImageAttributesLV!"
    entry = b"\x4c\x00" + bytes(10) + zlib.compress(bytes(2**30))
    chunk = struct.pack("<IIQ", 0x0ABECEDA, len(name), len(entry)) + name + entry
    table = name + struct.pack("<QQ", 0, len(entry)) + _MAP_END + struct.pack("<Q", len(chunk))
    head = struct.pack("<IIQ", 0x0ABECEDA, len(_MAP_NAME), len(table)) + _MAP_NAME
    path.write_bytes(chunk + head + table)


HOSTILE: dict[str, tuple[type[NativeReader], Callable[[Path], None]]] = {
    "CZI of 2**31 entries": (CziReader, lambda path: czi(path, entries_without_end)),
    "CZI whose header is its directory": (
        CziReader,
        lambda path: czi(path, directory_is_the_header),
    ),
    "CZI of a hole": (CziReader, czi_of_a_hole),
    "ND2 whose map is its own end": (Nd2Reader, lambda path: nd2(path, _TERABYTE, 100)),
    "ND2 whose map is a hole": (Nd2Reader, lambda path: nd2(path, 0, _TERABYTE // 2)),
    "ND2 whose attributes are a bomb": (Nd2Reader, nd2_bomb),
    "ND2 whose map has 2**64 bytes": (Nd2Reader, lambda path: nd2(path, 0, 2**64 - 1)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_costs_an_error_and_neither_time_nor_memory(tmp_path: Path, name: str) -> None:
    reader, write = HOSTILE[name]
    path = tmp_path / "bad"
    write(path)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # MemoryError must not stand for a check.
    with pytest.raises(SourceFileError, match=r"^(?!.*MemoryError)"):
        reader(path)
    assert time.process_time() - began < _MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18


def test_an_nd2_of_no_times_and_a_billion_positions_is_not_numbered(tmp_path: Path) -> None:
    reader = Nd2Reader.__new__(Nd2Reader)
    reader._path = tmp_path
    reader._attributes = Attributes(
        bitsPerComponentInMemory=16,
        bitsPerComponentSignificant=16,
        componentCount=1,
        heightPx=4,
        pixelDataType="unsigned",
        sequenceCount=0,
    )
    reader._chunks = Nd2Chunks.__new__(Nd2Chunks)
    reader._chunks._places = {}
    with pytest.raises(SourceFileError, match="expected whole loops"):
        reader._numbered_frames([("T", 0), ("P", 2**31)])
