"""Telling bytes that a reader wrote from those that it left as they were.

Where a file of uncompressed pixels ends too early, Bio-Formats reads what there
is and leaves the rest of the memory that it was given, which is zero if it is
new, without a word. So it is given memory with a pattern.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_all_written"]

Bytes: TypeAlias = NDArray[np.uint8]

# Of runs of one byte, so that a reader which turns round the bytes or the colours of
# each pixel afterwards leaves them as they are; neither black nor white, as pixels are.
_PATTERN = np.random.default_rng(0).integers(1, 255, 2**12, dtype=np.uint8).repeat(48)


def read_all_written(read: Callable[[Bytes], Bytes], size: int) -> tuple[Bytes, int | None]:
    """Read bytes, and find out whether all of them were written.

    Parameters
    ----------
    read
        Writes over a copy of the memory that it is given, and returns that.
    size
        How many bytes there are to be.

    Returns
    -------
    tuple of ndarray and int or None
        The bytes, those that were not written as zeros, and where the first of
        these lies; None if all were written.
    """
    pattern = np.resize(_PATTERN, size)
    found = read(pattern)
    if not _may_be_unwritten(found, pattern):
        return found, None
    # What is written is written again, the same; what is not is zero this time.
    again = read(np.zeros(size, np.uint8))
    differing = np.flatnonzero(found != again)
    return again, int(differing[0]) if differing.size else None


def _may_be_unwritten(found: Bytes, pattern: Bytes) -> bool:
    """Look for eight bytes of the pattern, or its last one: files end too early at their end."""
    words = found.size // 8 * 8
    is_like = found[:words].view(np.uint64) == pattern[:words].view(np.uint64)
    return bool(is_like.any() or found[-1] == pattern[-1])
