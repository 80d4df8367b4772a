"""The disk reads what is needed next before it is asked for."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.planes import PixelArray, PlaneRef
from imextract.readers.ome_tiff import OmeTiffReader
from imextract.readers.read_ahead import read_file_ahead, read_parts_ahead
from imextract.readers.tiff import TiffReader
from tests.support import forgotten, is_in_memory

MIB = 2**20


@pytest.fixture
def stack() -> PixelArray:
    return np.random.default_rng(0).integers(0, 60000, (4, 1024, 1024), np.uint16)


def comes_to_memory(path: Path, start: int) -> bool:
    for _ in range(200):
        if is_in_memory(path, start):
            return True
        time.sleep(0.01)
    return False


def test_a_file_is_read_ahead_up_to_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "plane.tif"
    path.write_bytes(os.urandom(64 * MIB))
    read_file_ahead(forgotten(path), 4 * MIB)
    assert comes_to_memory(path, 4 * MIB - 4096)
    assert not is_in_memory(path, 60 * MIB)


def test_the_next_page_of_a_tiff_is_read_ahead(tmp_path: Path, stack: PixelArray) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.repeat(stack, 8, axis=0), photometric="minisblack", metadata=None)
    with TiffReader(path) as reader:
        forgotten(path)
        reader.prefetch(PlaneRef(0, 30))
        assert comes_to_memory(path, 30 * 2 * MIB + MIB)


def test_the_next_page_of_an_ome_tiff_is_read_ahead(tmp_path: Path, stack: PixelArray) -> None:
    path = tmp_path / "pages.ome.tif"
    tifffile.imwrite(path, np.repeat(stack, 8, axis=0), ome=True, metadata={"axes": "ZYX"})
    with OmeTiffReader(path) as reader:
        forgotten(path)
        reader.prefetch(PlaneRef(0, 30))
        assert comes_to_memory(path, 30 * 2 * MIB + MIB)


def test_what_cannot_be_read_ahead_is_left_to_who_reads_it(tmp_path: Path) -> None:
    read_file_ahead(tmp_path / "missing.tif", MIB)
    os.mkfifo(tmp_path / "pipe.tif")
    read_file_ahead(tmp_path / "pipe.tif", MIB)
    path = tmp_path / "short.tif"
    path.write_bytes(bytes(100))
    with path.open("rb") as stream:
        read_parts_ahead(stream, [(0, 10), (2**62, 2**62), (2**70, 1), (-5, 2)])


def test_little_is_read_ahead_whatever_a_file_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hole.tif"
    with path.open("wb") as file:
        file.truncate(2**40)
    asked = []
    # Noted, not done: it would fill the memory.
    monkeypatch.setattr(os, "posix_fadvise", lambda _file, _start, size, _: asked.append(size))
    with path.open("rb") as stream:
        read_parts_ahead(stream, [(0, 2**39), (2**39 + 1, 2**39)])
    read_file_ahead(path, 2**39)
    assert sum(asked) <= 2 * 64 * MIB
