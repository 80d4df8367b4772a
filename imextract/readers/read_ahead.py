"""Having the disk read what is needed next, while the processor is at something else."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from imextract.errors import SourceFileError
from imextract.readers.source import open_source

__all__ = ["Part", "read_file_ahead", "read_parts_ahead"]

# First byte and bytes, as a file tells them.
Part: TypeAlias = tuple[int, int]

# Linux reads no more ahead at a time than the disk takes in one request (mm/readahead.c,
# force_page_cache_ra), of which this is a usual size.
_STEP = 2**19

# More is not read ahead, whatever a file tells of its parts: of holes in it, no disk is asked,
# and the memory that stands for them is filled at once.
_MOST = 2**26

# macOS has none.
_CAN_ADVISE = hasattr(os, "posix_fadvise")


def read_file_ahead(path: Path, most: int) -> None:
    """Have the beginning of a file read, without waiting for the disk.

    Only a hint: what is wrong with the file is for who reads it to say.

    Parameters
    ----------
    most
        How many bytes at most.
    """
    with contextlib.suppress(SourceFileError, OSError), open_source(path) as stream:
        _advise(stream, 0, min(most, os.fstat(stream.fileno()).st_size, _MOST))


def read_parts_ahead(stream: BinaryIO, parts: Iterable[Part]) -> None:
    """Have parts of an open file read, as `read_file_ahead`; they may be anywhere."""
    with contextlib.suppress(OSError, OverflowError):
        length, rest = os.fstat(stream.fileno()).st_size, _MOST
        for start, end in _joined(parts):
            size = min(end - start, length - start, rest)
            _advise(stream, start, size)
            rest -= max(size, 0)


def _joined(parts: Iterable[Part]) -> list[tuple[int, int]]:
    """Give the first byte and the end of parts, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, size in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], start + size)
        else:
            joined.append((start, start + size))
    return joined


def _advise(stream: BinaryIO, start: int, size: int) -> None:
    if not _CAN_ADVISE:
        return
    for at in range(start, start + size, _STEP):
        step = min(_STEP, start + size - at)
        os.posix_fadvise(stream.fileno(), at, step, os.POSIX_FADV_WILLNEED)
