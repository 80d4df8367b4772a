"""What a plane is: where it comes from and what shape it has.

All indices are zero-based. A plane is always two-dimensional: samples of RGB
images are separate channels.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["PIXEL_TYPES", "TOLD", "PixelArray", "PlaneRef", "SeriesStructure"]

PixelArray: TypeAlias = NDArray[np.generic]

# The pixel types that are stored, as NumPy spells them.
PIXEL_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


# What a microscope may tell of a plane, by the names that it has everywhere.
TOLD = (
    "pixel_size_x_um",
    "pixel_size_y_um",
    "pixel_size_z_um",
    "stage_x_um",
    "stage_y_um",
    "stage_z_um",
    "time_stamp_s",
    "exposure_ms",
)


@dataclass(frozen=True, slots=True, order=True)
class PlaneRef:
    """A plane inside one microscope file."""

    series: int
    plane: int


@dataclass(frozen=True, slots=True)
class SeriesStructure:
    """Sizes, type and plane order of one series (image) of a file.

    Attributes
    ----------
    size_x, size_y
        Width and height in pixels.
    size_z, size_c, size_t
        Counts of focal planes, channels (RGB samples counted singly) and time
        points.
    dtype
        NumPy name of the pixel type.
    dimension_order
        One of the six orders from "XYZCT" to "XYTCZ"; the dimension listed
        first after XY varies fastest from plane to plane.
    """

    size_x: int
    size_y: int
    size_z: int
    size_c: int
    size_t: int
    dtype: str
    dimension_order: str

    @property
    def plane_count(self) -> int:
        """Number of two-dimensional planes."""
        return self.size_z * self.size_c * self.size_t

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of every plane."""
        return self.size_y, self.size_x

    @property
    def plane_bytes(self) -> int:
        """Bytes of the pixels of a plane."""
        return self.size_y * self.size_x * np.dtype(self.dtype).itemsize

    def zct(self, plane: int) -> tuple[int, int, int]:
        """Give the (zplane, channel, tpoint) of a plane index.

        Raises
        ------
        IndexError
            If there is no such plane.
        """
        if not 0 <= plane < self.plane_count:
            raise IndexError(f"plane {plane} of {self.plane_count}")
        sizes = {"Z": self.size_z, "C": self.size_c, "T": self.size_t}
        position = {}
        for dimension in self.dimension_order[2:]:
            plane, position[dimension] = divmod(plane, sizes[dimension])
        return position["Z"], position["C"], position["T"]
