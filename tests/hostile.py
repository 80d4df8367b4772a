"""Files that lie about what they hold, so that who believes them works for ever."""

import struct
from collections.abc import Sequence

__all__ = ["DESCRIPTION", "PIXELS_AT", "STRIPS", "STRIP_SIZES", "SUB_DIRECTORIES", "VALUES_AT"]
__all__ += ["Entry", "described", "page", "tiff"]

Entry = tuple[int, int, int, int]
"""Tag, type, count, and the value or where it lies."""

DESCRIPTION, STRIPS, STRIP_SIZES, SUB_DIRECTORIES = 270, 273, 279, 330
ASCII, SHORT, LONG = 2, 3, 4
PIXELS_AT, VALUES_AT = 8, 24


def page(*more: Entry) -> list[Entry]:
    """Give the entries of a page of 4 x 4 pixels in one strip, where `more` does not differ."""
    plain: list[Entry] = [
        *((256, LONG, 1, 4), (257, LONG, 1, 4), (258, SHORT, 1, 8), (259, SHORT, 1, 1)),
        *((262, SHORT, 1, 1), (STRIPS, LONG, 1, PIXELS_AT), (277, SHORT, 1, 1)),
        *((278, LONG, 1, 4), (STRIP_SIZES, LONG, 1, 16)),
    ]
    return sorted({entry[0]: entry for entry in (*plain, *more)}.values())


def tiff(directories: Sequence[Sequence[Entry]], values: bytes = b"", last: int = 0) -> bytes:
    """Make a TIFF of 16 pixels, values and directories, each of which leads to the next.

    The last one leads to `last`.
    """
    offset = VALUES_AT + len(values)
    parts = [struct.pack("<4sI", b"II*\0", offset), bytes(range(1, 17)), values]
    for number, entries in enumerate(directories, 1):
        offset += 6 + 12 * len(entries)
        following = last if number == len(directories) else offset
        table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        parts += [struct.pack("<H", len(entries)), table, struct.pack("<I", following)]
    return b"".join(parts)


def described(text: str) -> bytes:
    """Make a TIFF of one page with a description."""
    values = text.encode() + b"\0"
    return tiff([page((DESCRIPTION, ASCII, len(values), VALUES_AT))], values)
