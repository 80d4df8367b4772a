"""A plane is known by its bytes; a constant one is told whatever its pixels are."""

import numpy as np
import pytest

from imextract.checksum import checksum_of_pixels, is_constant
from imextract.planes import PIXEL_TYPES

_NAN, _OTHER_NAN = np.array([0x7FC00000, 0xFFC00001], "uint32").view("float32")


@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_one_other_pixel_makes_a_plane_not_constant(dtype: str) -> None:
    plane = np.full((5, 7), 3, dtype)
    assert is_constant(plane)
    plane[4, 6] = 4
    assert not is_constant(plane)


@pytest.mark.parametrize("pair", [(0.0, -0.0), (_NAN, _OTHER_NAN), (np.inf, np.inf)])
def test_pixels_that_are_equal_are_constant_whatever_their_bits(
    pair: tuple[float, float],
) -> None:
    assert is_constant(np.array([pair, pair[::-1]], "float32"))


@pytest.mark.parametrize("other", [0.0, 1.0, np.inf])
def test_nan_is_equal_to_nan_only(other: float) -> None:
    assert not is_constant(np.array([[np.nan, np.nan], [np.nan, other]]))
    assert not is_constant(np.array([[other, other], [other, np.nan]]))


def test_a_checksum_is_of_the_bytes_row_by_row_whatever_the_layout() -> None:
    plane = np.arange(35, dtype="uint16").reshape(5, 7)
    turned = np.asfortranarray(plane)
    assert checksum_of_pixels(turned) == checksum_of_pixels(plane)
    assert checksum_of_pixels(plane.T) != checksum_of_pixels(plane)
