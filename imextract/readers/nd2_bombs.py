"""ND2 metadata that inflate to more than anybody writes, found before they are decoded.

A compressed entry is the byte 76, a byte, ten more and a zlib stream (Nikon's CLX Lite, as
the package nd2 reads it, at once and at any depth). Here all that looks like one is inflated,
bit by bit and within bounds.
"""

import io
import re
import zlib
from typing import BinaryIO

__all__ = ["inflates_too_far"]

# Of streams with a window of 256 bytes to 32 KiB (RFC 1950).
_ENTRY = re.compile(rb"(?=\x4c.{11}[\x08\x18\x28\x38\x48\x58\x68\x78])", re.DOTALL)
_BEFORE_STREAM = 12
_MOST_DEPTH = 8
_MOST_ENTRIES = 100_000
_PART = 2**12


def inflates_too_far(content: bytes, most: int) -> bool:
    """Say whether the entries of metadata inflate to more than so many bytes, or nest too deep."""
    return _left(content, most, _MOST_DEPTH) < 0


def _left(content: bytes, most: int, depth: int) -> int:
    """Give what is left of so many bytes; less than none if they are not enough."""
    stream = io.BytesIO(content)
    for number, entry in enumerate(_ENTRY.finditer(content)):
        stream.seek(entry.start() + _BEFORE_STREAM)
        inflated = _inflated(stream, most)
        if number == _MOST_ENTRIES or (inflated and depth == 0):
            return -1
        most -= len(inflated)
        if most >= 0:
            most = _left(inflated, most, depth - 1)
        if most < 0:
            break
    return most


def _inflated(stream: BinaryIO, most: int) -> bytes:
    """Inflate to just more than so many bytes at most; to none what is no stream."""
    decoder = zlib.decompressobj()
    inflated = bytearray()
    try:
        # A little at a time: zlib copies what it does not use.
        while len(inflated) <= most and (part := decoder.unconsumed_tail or stream.read(_PART)):
            inflated += decoder.decompress(part, most + 1 - len(inflated))
            if decoder.eof:
                break
    except zlib.error:
        # Or a broken one, at which nd2 stops as well.
        return b""
    return bytes(inflated)
