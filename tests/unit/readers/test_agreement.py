"""Which planes tell whether two readers count alike."""

import numpy as np
import pytest

from imextract.planes import PlaneRef, SeriesStructure
from imextract.readers.agreement import same_pixels, sample_planes


def series(z: int, c: int, t: int, order: str = "XYCZT") -> SeriesStructure:
    return SeriesStructure(8, 8, z, c, t, "uint8", order)


def test_one_plane_is_the_sample_of_itself() -> None:
    assert sample_planes([series(1, 1, 1)]) == (PlaneRef(0, 0),)


def test_a_step_along_each_dimension_is_in_the_sample() -> None:
    planes = [ref.plane for ref in sample_planes([series(5, 2, 3)])]
    assert planes == [0, 1, 2, 10, 29]
    assert [ref.plane for ref in sample_planes([series(5, 2, 3, "XYTZC")])] == [0, 1, 3, 15, 29]


def test_series_all_over_a_file_are_in_the_sample_and_not_all_of_many() -> None:
    sample = sample_planes([series(1, 2, 1)] * 384)
    assert {ref.series for ref in sample} == {*range(0, 384, 48), 383}
    assert sample_planes([series(1, 1, 1)] * 3) == tuple(PlaneRef(n, 0) for n in range(3))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_one_other_pixel_makes_other_pixels(dtype: str) -> None:
    plane = np.arange(12, dtype=dtype).reshape(3, 4)
    other = plane.copy()
    assert same_pixels(plane, other)
    other[2, 3] += 1
    assert not same_pixels(plane, other)
    assert not same_pixels(plane, plane.T)


def test_pixels_that_are_no_number_in_both_are_the_same() -> None:
    plane = np.array([[1.0, np.nan]], np.float32)
    assert same_pixels(plane, plane.copy())
    assert not same_pixels(plane, np.array([[np.nan, 1.0]], np.float32))
