"""Maximum-intensity projection."""

from collections.abc import Iterable

import numpy as np

from imextract.errors import PlaneMismatchError
from imextract.planes import PixelArray

__all__ = ["project_maximum"]


def project_maximum(planes: Iterable[PixelArray]) -> PixelArray:
    """Give the brightest value of each pixel over all planes.

    Parameters
    ----------
    planes
        At least one plane; all of one shape and type. Few are held at a time.

    Returns
    -------
    ndarray, shape (height, width), dtype of the planes

    Raises
    ------
    PlaneMismatchError
        If the planes differ in shape or type.
    """
    rest = iter(planes)
    brightest = next(rest)
    for plane in rest:
        if plane.shape != brightest.shape or plane.dtype != brightest.dtype:
            raise PlaneMismatchError(
                f"cannot project planes that differ: {brightest.shape} {brightest.dtype} "
                f"and {plane.shape} {plane.dtype}"
            )
        # Not in place: a single plane is given on as it is, without a copy.
        brightest = np.maximum(brightest, plane)
    return brightest
