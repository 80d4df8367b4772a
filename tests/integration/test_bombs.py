"""Files that are no files, or declare more than there is, cost an error and no memory."""

import os
import resource
import socket
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from imextract.config import Settings
from imextract.errors import ImextractError, RegistrationError, SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.readers.bioformats_process import shared_process
from imextract.readers.tiff import TiffReader
from imextract.registration.register import RegistrationRequest, register_folder
from tests.integration.test_bioformats_faults import ome_xml
from tests.support import noise, write_tiff

_MOST_SECONDS = 30
_MOST_GROWTH = 300 * 2**20

LARGE = 2**31 - 1


def tiff(width: int, height: int, strip: bytes, compression: int = 1) -> bytes:
    """A TIFF of one strip, 8 bits a pixel, whatever it declares."""
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, compression),
        (262, 3, 1),
        (273, 4, 122),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(strip)),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 8)
    return head + struct.pack("<H", len(entries)) + table + bytes(4) + strip


def big_tiff() -> bytes:
    """A BigTIFF whose only directory has 2**60 entries."""
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**60)


BOMBS: dict[str, Callable[[], bytes]] = {
    "absurd size": lambda: tiff(LARGE, LARGE, b"x" * 64),
    "deflate bomb": lambda: tiff(60_000, 60_000, zlib.compress(bytes(2**22)), compression=8),
    "huge directory": big_tiff,
    "ome": lambda: ome_xml(["a.tif"]).replace('SizeX="64"', f'SizeX="{LARGE}"').encode(),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_declares_too_much_is_refused_at_once_in_bounded_memory(
    tmp_path: Path, reader_settings: Settings, bomb: str
) -> None:
    suffix = "companion.ome" if bomb == "ome" else "tif"
    path = tmp_path / f"bomb.{suffix}"
    path.write_bytes(BOMBS[bomb]())
    write_tiff(tmp_path / "a.tif", noise(64, 64))
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceFileError), TiffReader(path) as ours:
        ours.read_plane(PlaneRef(0, 0))
    with pytest.raises(ImextractError), BioFormatsReader(path, reader_settings) as theirs:
        theirs.read_plane(PlaneRef(0, 0))
    assert time.monotonic() - began < _MOST_SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < _MOST_GROWTH
    child = shared_process(reader_settings).pid
    assert child is None or psutil.Process(child).memory_info().rss < 2**30 + _MOST_GROWTH


def test_a_plane_beyond_what_java_holds_is_refused_before_memory_is_asked_for(
    tmp_path: Path, reader_settings: Settings
) -> None:
    path = tmp_path / f"x&sizeX={2**20}&sizeY={2**20}.fake"
    path.touch()
    with (
        BioFormatsReader(path, reader_settings) as reader,
        pytest.raises(SourceFileError, match="expected at most 2147483647"),
    ):
        reader.read_plane(PlaneRef(0, 0))


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, make_socket, Path.mkdir, lambda p: p.symlink_to(p)])
def test_what_is_no_file_is_left_out_and_nobody_waits(
    tmp_path: Path,
    reader_settings: Settings,
    make: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path("image.tif")
    make(odd)
    began = time.monotonic()
    with pytest.raises(SourceFileError):
        inspect_file(tmp_path / odd, reader_settings)
    with pytest.raises(SourceFileError):
        TiffReader(tmp_path / odd)
    with pytest.raises(RegistrationError):
        register_folder(RegistrationRequest(folder=tmp_path, name="x", dry_run=True))
    assert time.monotonic() - began < _MOST_SECONDS


def test_holes_are_read_as_the_zeros_that_they_are(
    tmp_path: Path, reader_settings: Settings
) -> None:
    path = write_tiff(tmp_path / "sparse.tif", np.ones((256, 256), "uint16"))
    with TiffReader(path) as reader:
        assert reader.read_plane(PlaneRef(0, 0)).all()
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.truncate(size - 256 * 256 * 2)
        stream.truncate(size)
    with TiffReader(path) as reader:
        assert not reader.read_plane(PlaneRef(0, 0)).any()
