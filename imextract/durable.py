"""Files and folders that are on the disk when the call returns, and what is there of them."""

import errno
import os
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

__all__ = ["Bytes", "blocks", "flush", "read_from_disk", "write_flushed"]

Bytes: TypeAlias = bytes | memoryview

# What goes past the memory lies at multiples of this in memory and on the disk: no
# disk has larger blocks (statx(2), STATX_DIOALIGN).
_BLOCK = 4096

# Below this, what the memory costs is less than one more request to the disk. Measured
# (python -m benchmarks --only writing).
_LEAST_DIRECT = 2**20

# macOS has neither.
_DIRECT = getattr(os, "O_DIRECT", 0)
_CAN_ADVISE = hasattr(os, "posix_fadvise")


def blocks(least: int) -> memoryview:
    """Give memory of whole blocks that begins where one begins: from there the disk can take it.

    Parameters
    ----------
    least
        Bytes that it must hold.
    """
    size = -(-least // _BLOCK) * _BLOCK
    space = np.empty(size + _BLOCK, np.uint8)
    start = -space.ctypes.data % _BLOCK
    return space[start : start + size].data


def write_flushed(path: Path, content: Bytes) -> None:
    """Make a file and wait until its content is on the disk.

    A large one goes there directly: what is stored is not read again soon, and
    a copy of it in the system's memory takes more processor time than writing
    it, and room from the microscope files that are read meanwhile.

    Raises
    ------
    FileExistsError
        If there is a file of this name.
    OSError
        If it cannot be written; what is there of it is for the caller to remove.
    """
    with path.open("xb", buffering=0) as file:
        if not _write_directly(file, content):
            _write(file, content)
        os.fsync(file.fileno())


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk.

    Raises
    ------
    OSError
        If it is not there, or the disk says that it could not write.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_from_disk(path: Path) -> memoryview:
    """Read a file as it is on the disk, whatever the system holds of it in memory.

    Directly, where that can be done: nothing is put into the system's memory, whose pages
    would take more processor time than most presets' decompression.

    Raises
    ------
    OSError
        If it is not there, or cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        room = blocks(size)
        # Some file systems take the flag and read through memory all the same (Btrfs what it
        # has compressed): they are to have forgotten what they hold.
        if _CAN_ADVISE:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            fcntl(file, F_SETFL, fcntl(file, F_GETFL) | _DIRECT)
            return room[: _read(file, room, size)]
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # This file system cannot.
        fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~_DIRECT)
        file.seek(0)
        return room[: _read(file, room, size)]


def _read(file: BinaryIO, room: memoryview, size: int) -> int:
    count = 0
    while count < size and (more := file.readinto(room[count:])):  # type: ignore[attr-defined]  # unbuffered
        count += more
    return count


def _write_directly(file: BinaryIO, content: Bytes) -> bool:
    """Write past the system's memory; False, and nothing written, where that cannot be done."""
    if not _DIRECT or len(content) < _LEAST_DIRECT:
        return False
    flags = fcntl(file, F_GETFL)
    try:
        fcntl(file, F_SETFL, flags | _DIRECT)
        _write_blocks(file, content)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # This file system cannot, or asks for larger blocks.
        fcntl(file, F_SETFL, flags)
        file.seek(0)
        file.truncate()
        return False
    file.truncate(len(content))
    return True


def _write(file: BinaryIO, content: Bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _write_blocks(file: BinaryIO, content: Bytes) -> None:
    """Write bytes, filled up to whole blocks: without a copy, if they lie where a block begins."""
    lies_right = np.frombuffer(content, np.uint8).ctypes.data % _BLOCK == 0
    whole = len(content) // _BLOCK * _BLOCK if lies_right else 0
    parts = [memoryview(content)[:whole], _in_blocks(memoryview(content)[whole:])]
    while parts:
        count = os.writev(file.fileno(), parts)
        while parts and count >= len(parts[0]):
            count -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][count:]


def _in_blocks(content: memoryview) -> memoryview:
    """Copy bytes to where blocks begin, filled up to whole blocks."""
    room = blocks(len(content))
    room[: len(content)] = content
    # Nothing of what else was in memory is to reach the disk.
    room[len(content) :] = bytes(len(room) - len(content))
    return room
