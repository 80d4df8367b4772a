"""The checksum by which a plane is known: XXH3-128 of its pixel bytes."""

import sys

import numpy as np
import xxhash

from imextract.planes import PixelArray

__all__ = ["checksum_of_bytes", "checksum_of_pixels", "is_constant"]


def checksum_of_pixels(pixels: PixelArray) -> str:
    """Give the XXH3-128 of a plane's bytes, row by row, little-endian.

    Parameters
    ----------
    pixels : ndarray, shape (height, width)

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    little = pixels if sys.byteorder == "little" else pixels.astype(pixels.dtype.newbyteorder("<"))
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(little).data)


def checksum_of_bytes(content: bytes | memoryview) -> str:
    """Give the XXH3-128 of a file's bytes, as 32 hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(content)


def is_constant(pixels: PixelArray) -> bool:
    """Say whether all pixels are equal; NaN is equal to NaN, and 0 to -0.

    Parameters
    ----------
    pixels : ndarray, shape (height, width)
    """
    # The first row settles it for nearly every plane, without a pass over all.
    return _all_equal(pixels[:1]) and _all_equal(pixels)


def _all_equal(pixels: PixelArray) -> bool:
    first = pixels[0, 0]
    return bool((pixels == first).all() or (first != first and (pixels != pixels).all()))
