"""Opening and reading what may only be an ordinary file, and no bomb."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError

__all__ = ["LARGEST_INDEX", "open_source", "read_exactly", "refuse_bomb"]

# No allocation beyond this unless the file holds enough to fill it.
_SURELY_FITS = 256 * 2**20
_MOST_EXPANSION = 2000

# Of millions of planes. The length of a file does not bound what tells of them: most
# of it may be a hole.
LARGEST_INDEX = 2**30


def open_source(path: Path) -> BinaryIO:
    """Open an ordinary file for reading; never wait on a pipe or a device.

    Raises
    ------
    SourceFileError
        If it is missing, unreadable, or no ordinary file.
    """
    try:
        stream = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceFileError(
            f"{path}: cannot be opened: {reason}; put the file back or make it readable"
        ) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise SourceFileError(
            f"{path}: expected an ordinary file, got a pipe or device; leave it out"
        )
    return stream


def read_exactly(
    path: Path, stream: BinaryIO, offset: int, size: int, most: int | None = None
) -> bytes:
    """Read a part of a file, all of it.

    Raises
    ------
    SourceFileError
        If the part does not lie inside the file, or has more than `most` bytes.
    """
    if most is not None and size > most:
        raise SourceFileError(
            f"{path}: expected at most {most} bytes at offset {offset}, got {size}; "
            "replace it by a whole one"
        )
    length = os.fstat(stream.fileno()).st_size
    # Compared before it is read: a damaged file may ask for more than there is memory.
    if offset < 0 or size < 0 or offset + size > length:
        raise SourceFileError(
            f"{path}: expected {size} bytes at offset {offset}, but the file has {length}; "
            "replace it by a whole one"
        )
    stream.seek(offset)
    content = stream.read(size)
    if len(content) != size:
        raise SourceFileError(
            f"{path}: expected {size} bytes at offset {offset}, got {len(content)}; "
            "read it again when nothing writes to it"
        )
    return content


def refuse_bomb(what: str, declared_bytes: int, stored_bytes: int) -> None:
    """Refuse pixels that are far larger than what is stored of them.

    Raises
    ------
    SourceFileError
        If they are.
    """
    if declared_bytes > max(_SURELY_FITS, stored_bytes * _MOST_EXPANSION):
        raise SourceFileError(
            f"{what} declares {declared_bytes} bytes of pixels, but only {stored_bytes} "
            "are stored: no compression does that; replace the file"
        )


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
