"""Files and folders that are on the disk when the call returns, and what is there of them."""

import errno
import os
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

__all__ = ["Bytes", "flush", "read_from_disk", "write_flushed"]

Bytes: TypeAlias = bytes | memoryview

# What goes past the memory lies at multiples of this in memory and on the disk: no
# disk has larger blocks (statx(2), STATX_DIOALIGN).
_BLOCK = 4096

# Below this, what the memory costs is less than one more request to the disk. Measured
# (python -m benchmarks --only writing).
_LEAST_DIRECT = 2**20

# macOS has none.
_DIRECT = getattr(os, "O_DIRECT", 0)


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
        blocks = _blocks(size)
        # Some file systems take the flag and read through memory all the same (Btrfs what it
        # has compressed): they are to have forgotten what they hold.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            fcntl(file, F_SETFL, fcntl(file, F_GETFL) | _DIRECT)
            return blocks[: _read(file, blocks, size)]
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # This file system cannot.
        fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~_DIRECT)
        file.seek(0)
        return blocks[: _read(file, blocks, size)]


def _read(file: BinaryIO, blocks: memoryview, size: int) -> int:
    count = 0
    while count < size and (more := file.readinto(blocks[count:])):  # type: ignore[attr-defined]  # unbuffered
        count += more
    return count


def _write_directly(file: BinaryIO, content: Bytes) -> bool:
    """Write past the system's memory; False, and nothing written, where that cannot be done."""
    if not _DIRECT or len(content) < _LEAST_DIRECT:
        return False
    flags = fcntl(file, F_GETFL)
    try:
        fcntl(file, F_SETFL, flags | _DIRECT)
        _write(file, _in_blocks(content))
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


def _in_blocks(content: Bytes) -> memoryview:
    """Copy bytes to where blocks begin, filled up to whole blocks."""
    blocks = _blocks(len(content))
    blocks[: len(content)] = memoryview(content)
    # Nothing of what else was in memory is to reach the disk.
    blocks[len(content) :] = bytes(len(blocks) - len(content))
    return blocks


def _blocks(least: int) -> memoryview:
    """Give memory of whole blocks, from where one begins on."""
    size = -(-least // _BLOCK) * _BLOCK
    space = np.empty(size + _BLOCK, np.uint8)
    start = -space.ctypes.data % _BLOCK
    return space[start : start + size].data
