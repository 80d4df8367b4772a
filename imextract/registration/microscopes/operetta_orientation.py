"""How Bio-Formats turns the positions of an Operetta: by the `OrientationMatrix` of its index."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from imextract.readers.source import open_source

__all__ = ["Orientation", "read_orientation"]

_NUMBER = rb"\s*([-+0-9.eE]{1,40})\s*"
_MATRIX = re.compile(
    rb"OrientationMatrix[^>]*>\s*\[\s*\["
    + _NUMBER + rb"," + _NUMBER + rb"[^\]]*\]\s*,\s*\[" + _NUMBER + rb"," + _NUMBER
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Orientation:
    """The part of the matrix that turns x and y."""

    xx: float = 1.0
    xy: float = 0.0
    yx: float = 0.0
    yy: float = 1.0

    def turned_back(self, position: tuple[float, float]) -> tuple[float, float]:
        """Give a position as the microscope wrote it, but for an offset that all share."""
        x, y = position
        size = self.xx * self.yy - self.xy * self.yx
        return (self.yy * x - self.xy * y) / size, (self.xx * y - self.yx * x) / size


def read_orientation(path: Path) -> Orientation:
    """Read the matrix of an index; one that turns nothing where there is none.

    Raises
    ------
    SourceFileError
        If the index cannot be read.
    """
    with open_source(path) as stream:
        for line in stream:
            match = _MATRIX.search(line)
            if match is not None:
                return _orientation(match)
    return Orientation()


def _orientation(match: re.Match[bytes]) -> Orientation:
    try:
        found = Orientation(*map(float, match.groups()))
    except ValueError:
        return Orientation()
    size = found.xx * found.yy - found.xy * found.yx
    return found if math.isfinite(size) and size else Orientation()
