"""Files that are on the disk, whichever way they go there."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from imextract.durable import blocks, read_from_disk, write_flushed
from tests.support import forgotten, is_in_memory

MIB = 2**20


@pytest.mark.parametrize("size", [0, 1, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB + 4097])
def test_a_file_of_any_size_is_written_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    write_flushed(tmp_path / "plane.h5", content)
    assert (tmp_path / "plane.h5").read_bytes() == content


@pytest.mark.parametrize("size", [MIB, MIB + 1, 3 * MIB + 4097])
@pytest.mark.parametrize("offset", [0, 1, 4096])
def test_content_is_written_whole_wherever_it_lies(tmp_path: Path, size: int, offset: int) -> None:
    room = blocks(size + offset)
    content = room[offset : offset + size]
    content[:] = os.urandom(size)
    write_flushed(tmp_path / "plane.h5", content)
    assert (tmp_path / "plane.h5").read_bytes() == content


def test_what_is_written_in_parts_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched: no disk can be told to take less than it is given.
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda file, parts: real(file, [parts[0][: 2**18]]))
    content = blocks(3 * MIB + 5)[: 3 * MIB + 5]
    content[:] = os.urandom(len(content))
    write_flushed(tmp_path / "plane.h5", content)
    assert (tmp_path / "plane.h5").read_bytes() == content


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "plane.h5").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_flushed(tmp_path / "plane.h5", bytes(2 * MIB))
    assert (tmp_path / "plane.h5").read_bytes() == b"old"


def test_a_large_file_takes_no_room_in_memory(tmp_path: Path) -> None:
    write_flushed(tmp_path / "small.h5", bytes(MIB // 2))
    write_flushed(tmp_path / "large.h5", bytes(2 * MIB))
    # The small one shows that the question is answered.
    assert is_in_memory(tmp_path / "small.h5")
    forgotten(tmp_path / "small.h5")
    assert not is_in_memory(tmp_path / "large.h5")


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, MIB, 3 * MIB + 4097])
def test_a_file_of_any_size_is_read_whole_from_the_disk(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "plane.h5").write_bytes(content)
    assert read_from_disk(tmp_path / "plane.h5") == content


def test_what_is_read_from_the_disk_takes_no_room_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "plane.h5"
    write_flushed(path, bytes(2 * MIB))
    forgotten(path)
    assert len(read_from_disk(path)) == 2 * MIB
    assert not is_in_memory(path)


@pytest.fixture
def nothing_goes_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Patched: no file system that refuses can be mounted without being root.
    real, direct = fcntl.fcntl, os.O_DIRECT

    def refuse(descriptor: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL and flags & direct:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return int(real(descriptor, command, flags))

    monkeypatch.setattr("imextract.durable.fcntl", refuse)


@pytest.mark.usefixtures("nothing_goes_directly")
def test_where_nothing_goes_directly_it_goes_by_memory(tmp_path: Path) -> None:
    content = os.urandom(2 * MIB + 1)
    write_flushed(tmp_path / "plane.h5", content)
    assert (tmp_path / "plane.h5").read_bytes() == content
    assert read_from_disk(tmp_path / "plane.h5") == content
