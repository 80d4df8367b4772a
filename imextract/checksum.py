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
    """Say whether all pixels have one and the same bit pattern."""
    bits = np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}")
    first = bits[0, 0]
    # The first row settles it for nearly every plane, without a pass over all.
    return bool((bits[0] == first).all() and (bits == first).all())
