"""What becomes of files on the way from a microscope."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["DAMAGES", "LOSES"]

_BLOCK = 4096
_MAGIC = {b"II": b"MM", b"MM": b"II"}


def cut(path: Path, random: np.random.Generator) -> None:
    """Cut a file short anywhere, one time in four by its last byte only."""
    content = path.read_bytes()
    is_last = random.random() < 0.25
    path.write_bytes(content[: -1 if is_last else int(random.integers(len(content)))])


def flip(path: Path, random: np.random.Generator) -> None:
    """Flip one bit, as often in the first kilobytes as elsewhere."""
    content = bytearray(path.read_bytes())
    end = len(content) if random.random() < 0.5 else min(len(content), _BLOCK)
    content[int(random.integers(end))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def blank(path: Path, random: np.random.Generator) -> None:
    """Fill blocks of a file with zeros, as those that a copy never wrote are."""
    content = bytearray(path.read_bytes())
    start = int(random.integers(-(-len(content) // _BLOCK))) * _BLOCK
    end = min(start + _BLOCK * int(random.integers(1, 4)), len(content))
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def half(path: Path, random: np.random.Generator) -> None:
    """Fill all from some place on with zeros: a copy that was given its length first."""
    content = path.read_bytes()
    start = int(random.integers(len(content)))
    path.write_bytes(content[:start] + bytes(len(content) - start))


def swap_magic(path: Path, random: np.random.Generator) -> None:  # noqa: ARG001  as all are called
    """Let a file begin as others do."""
    content = path.read_bytes()
    path.write_bytes(_MAGIC.get(content[:2], b"II") + content[2:])


def lose(path: Path, random: np.random.Generator) -> None:
    """Take a file away, or all of its content."""
    if random.random() < 0.5:
        path.unlink()
    else:
        path.write_bytes(b"")


DAMAGES: Mapping[str, Callable[[Path, np.random.Generator], None]] = {
    "cut": cut,
    "flipped": flip,
    "blanked": blank,
    "half copied": half,
    "magic": swap_magic,
    "lost": lose,
}

# Where what is not there is not in the file either: any other plane would be invented.
LOSES = frozenset({"cut", "lost", "magic"})
