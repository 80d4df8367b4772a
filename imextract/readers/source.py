"""Opening what may only be an ordinary file."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError

__all__ = ["open_source"]


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


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
