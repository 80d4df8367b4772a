"""MetaMorph's stacks (STK): a TIFF of one directory, behind which all planes lie."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_stk"]

_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_SOFTWARE = b"MetaMorph 7.10.4\0"
_UIC1, _UIC2, _UIC3 = 33628, 33629, 33630
# Entries of the first private tag: whether pixels have a size, which, in what unit.
_CALIBRATED, _X_SIZE, _Y_SIZE, _UNIT = 3, 4, 5, 6
_JULIAN_DAY = 2461046  # 5 January 2026


def write_stk(
    path: Path, planes: Sequence[NDArray[np.uint16]], *, pixel_size_um: float, zstep_um: float
) -> None:
    """Write planes of 16 bits, all of one shape."""
    height, width = planes[0].shape
    values = _Values()
    software = values.add(_SOFTWARE)
    entries = [
        (256, _LONG, 1, width),
        (257, _LONG, 1, height),
        (258, _SHORT, 1, 16),
        (259, _SHORT, 1, 1),
        (262, _SHORT, 1, 1),
        (273, _LONG, 1, 0),  # where the pixels begin is known at the end
        (277, _SHORT, 1, 1),
        (278, _LONG, 1, height),
        (279, _LONG, 1, height * width * 2),
        (305, _ASCII, len(_SOFTWARE), software),
        (_UIC1, _LONG, 4, values.add(_calibration(values, pixel_size_um))),
        (_UIC2, _RATIONAL, len(planes), values.add(_plane_times(len(planes), zstep_um))),
        (_UIC3, _RATIONAL, len(planes), values.add(struct.pack("<2I", 0, 1) * len(planes))),
    ]
    directory_at = 8 + len(values.content)
    pixels_at = directory_at + 2 + 12 * len(entries) + 4
    entries[5] = (273, _LONG, 1, pixels_at)
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, directory_at) + values.content)
        file.write(struct.pack("<H", len(entries)))
        file.writelines(struct.pack("<2H2I", *entry) for entry in entries)
        file.write(struct.pack("<I", 0))
        for plane in planes:
            file.write(plane.astype("<u2", copy=False).tobytes())


class _Values:
    """Values that are too long for a directory; they lie behind the file's head."""

    def __init__(self) -> None:
        self.content = b""

    def add(self, value: bytes) -> int:
        offset = 8 + len(self.content)
        self.content += value
        return offset


def _calibration(values: _Values, pixel_size_um: float) -> bytes:
    size = values.add(struct.pack("<2I", round(pixel_size_um * 1e6), 10**6))
    unit = values.add(struct.pack("<I", 3) + b"um\0\0")
    return struct.pack("<8I", _CALIBRATED, 1, _X_SIZE, size, _Y_SIZE, size, _UNIT, unit)


def _plane_times(count: int, zstep_um: float) -> bytes:
    """Give distance from the plane before, day and millisecond, made and changed."""
    step = round(zstep_um * 1e6)
    return b"".join(
        struct.pack("<6I", step, 10**6, _JULIAN_DAY, 1000 * index, _JULIAN_DAY, 1000 * index)
        for index in range(count)
    )
