"""Telling bytes that a reader wrote from those that it left as they were.

Where a file of uncompressed pixels ends too early, Bio-Formats reads what there
is and leaves the rest of the memory that it was given, which is zero if it is
new, without a word. So it is given memory with a pattern.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["pattern", "read_all_written"]

Bytes: TypeAlias = NDArray[np.uint8]

# Of runs of one byte, so that a reader which turns round the bytes or the colours of
# each pixel afterwards leaves them as they are; neither black nor white, as pixels are.
_PATTERN = np.random.default_rng(0).integers(1, 255, 2**12, dtype=np.uint8).repeat(48)
_WORDS = _PATTERN.view(np.uint64)


def pattern(size: int) -> Bytes:
    """Give memory as it is to be before a reader writes into it."""
    return np.resize(_PATTERN, size)


def read_all_written(read: Callable[[bool], Bytes]) -> tuple[Bytes, int | None]:
    """Read bytes, and find out whether all of them were written.

    Parameters
    ----------
    read
        Writes into memory that holds the pattern if it is given True, and else zeros,
        and returns that.

    Returns
    -------
    tuple of ndarray and int or None
        The bytes, those that were not written as zeros, and where the first of
        these lies; None if all were written.
    """
    found = read(True)
    if not _may_be_unwritten(found):
        return found, None
    # What is written is written again, the same; what is not is zero this time.
    again = read(False)
    differing = np.flatnonzero(found != again)
    return again, int(differing[0]) if differing.size else None


def _may_be_unwritten(found: Bytes) -> bool:
    """Look for eight bytes of the pattern, or its last one: files end too early at their end."""
    rounds, rest = divmod(found.size, _PATTERN.size)
    whole = found[: found.size - rest].view(np.uint64).reshape(rounds, _WORDS.size)
    end = found[found.size - rest :]
    words = end[: rest // 8 * 8].view(np.uint64)
    return bool(
        (whole == _WORDS).any()
        or (words == _WORDS[: words.size]).any()
        or found[-1] == _PATTERN[rest - 1]
    )
