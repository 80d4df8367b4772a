"""A TIFF that leads round in circles, or declares more than there is, is refused at once."""

import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imextract.errors import SourceFileError
from imextract.readers import tiff_structure
from imextract.readers.tiff import TiffReader
from imextract.readers.tiff_structure import check_tiff
from imextract.registration import tiff_header
from imextract.registration.tiff_header import read_tiff_header
from tests.hostile import (
    DESCRIPTION,
    PIXELS_AT,
    STRIP_SIZES,
    STRIPS,
    SUB_DIRECTORIES,
    VALUES_AT,
    page,
    tiff,
)

_MOST_SECONDS = 10
_MOST_GROWTH_KB = 600 * 2**10
_MANY = 400_000
_LONG, _ASCII = 4, 2
_TERABYTE = 2**40


def shared_strips() -> bytes:
    """Thousands of pages of the same million strips."""
    offsets, sizes = struct.pack("<I", PIXELS_AT) * _MANY, struct.pack("<I", 1) * _MANY
    strips = (STRIPS, _LONG, _MANY, VALUES_AT)
    counts = (STRIP_SIZES, _LONG, _MANY, VALUES_AT + len(offsets))
    return tiff([page(strips, counts)] * 3000, offsets + sizes)


def shared_sub_directories() -> bytes:
    first = struct.pack("<I", VALUES_AT + 4 * _MANY)
    return tiff([page((SUB_DIRECTORIES, _LONG, _MANY, VALUES_AT))] * 3000, first * _MANY)


def shared_description() -> bytes:
    text = b"x" * 20_000_000 + b"\0"
    return tiff([page((DESCRIPTION, _ASCII, len(text), VALUES_AT))] * 300, text)


def huge_counts() -> bytes:
    table = b"".join(struct.pack("<HHII", tag, _LONG, 2**32 - 1, 8) for tag in range(65535))
    return struct.pack("<4sIH", b"II*\0", 8, 65535) + table + bytes(4)


def strips_in_a_hole() -> bytes:
    """A BigTIFF whose offsets take half of a terabyte of nothing."""
    count = _TERABYTE // 32
    entries = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (STRIPS, 16, count, 4096)]
    entries += [(STRIP_SIZES, 16, count, 4096)]
    table = b"".join(struct.pack("<HHQQ", *entry) for entry in entries)
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries)) + table + bytes(8)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a directory after itself": lambda: tiff([page()], last=VALUES_AT),
    "a circle of directories": lambda: tiff([page()] * 3, last=VALUES_AT),
    "a circle of sub-directories": lambda: tiff([page((SUB_DIRECTORIES, _LONG, 1, VALUES_AT))]),
    "strips of all pages": shared_strips,
    "sub-directories of all pages": shared_sub_directories,
    "one description of all pages": shared_description,
    "65535 tags of 2**32 values": huge_counts,
    "BigTIFF of 2**63 tags": lambda: b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**63) + bytes(99),
    "a hole for strips": strips_in_a_hole,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_costs_an_error_and_neither_time_nor_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.tif"
    path.write_bytes(HOSTILE[name]())
    if "hole" in name:
        os.truncate(path, _TERABYTE)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_tiff_header(path)
    with pytest.raises(SourceFileError, match=r"bad\.tif"):
        check_tiff(path)
    with pytest.raises(SourceFileError, match=r"bad\.tif"):
        TiffReader(path)
    assert time.process_time() - began < _MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_GROWTH_KB


def test_directories_are_followed_so_far_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tiff_structure, tiff_header):
        # As many as are allowed take seconds.
        monkeypatch.setattr(module, "MOST_DIRECTORIES", 100)
    path = tmp_path / "chain.tif"
    path.write_bytes(tiff([page()] * 100))
    assert check_tiff(path).plane_count == 100
    assert read_tiff_header(path) is not None
    path.write_bytes(tiff([page()] * 101))
    assert read_tiff_header(path) is None
    with pytest.raises(SourceFileError, match="more than 100 directories"):
        check_tiff(path)


def test_pages_may_share_what_is_small(tmp_path: Path) -> None:
    text = b"x" * 1000 + b"\0"
    path = tmp_path / "shared.tif"
    path.write_bytes(tiff([page((DESCRIPTION, _ASCII, len(text), VALUES_AT))] * 1000, text))
    with TiffReader(path) as reader:
        assert reader.structure[0].plane_count == 1000
