"""Pixels out of the file of a stored plane: all of them, or a region."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from imextract.chunk_index import ChunkIndex, FileRange, chunk_checksum
from imextract.chunks import Bytes, Offset, decode_chunk
from imextract.damage import damage_named
from imextract.hdf5 import require_agreement
from imextract.planes import PixelArray

__all__ = ["decode_plane", "read_region"]

_WHOLE = slice(None)


def decode_plane(content: Bytes, name: str, *, is_proven: bool = False) -> PixelArray:
    """Read the pixels from the bytes of a plane's file.

    Parameters
    ----------
    is_proven
        True if a checksum of all the bytes was compared. Else those of the chunks are, and
        HDF5 must find the same chunks.

    Returns
    -------
    ndarray, shape (height, width), native byte order

    Raises
    ------
    DamagedPlaneError
        If the bytes are no such file, or damaged; `name` says which.
    """
    view = memoryview(content)

    def within(start: int, size: int) -> memoryview:
        return view[start : start + size]

    with damage_named(name, OSError):
        index = ChunkIndex.read(within)
        if not is_proven:
            require_agreement(content, index)
        return _read(index, within, _WHOLE, _WHOLE, is_proven)


def read_region(
    path: Path, y: slice, x: slice, expected: Mapping[str, str | int | float]
) -> PixelArray:
    """Read a region of a plane's file, only the chunks that it touches.

    Parameters
    ----------
    y, x
        Rows and columns, as for indexing an array.
    expected
        What identifies the plane (`IDENTIFYING`), and its height, width and dtype.

    Returns
    -------
    ndarray, shape of the region, native byte order

    Raises
    ------
    DamagedPlaneError
        If the file is damaged, or another plane's.
    OSError
        If it is missing, or cannot be read.
    """
    with damage_named(str(path)), path.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        length = os.fstat(descriptor).st_size

        def within(start: int, size: int) -> bytes:
            # Memory is taken for as many bytes as are asked for, be they there or not.
            return os.pread(descriptor, min(size, length), min(start, length))

        index = ChunkIndex.read(within)
        height, width = index.layout.shape
        told = {**index.identity, "height": height, "width": width, "dtype": index.dtype}
        for key, value in expected.items():
            if (found := told.get(key)) != value:
                raise ValueError(f"another plane's: {key} is {found}, expected {value}")
        return _read(index, within, y, x)


def _read(
    index: ChunkIndex, file: FileRange, y: slice, x: slice, is_proven: bool = False
) -> PixelArray:
    height, width = index.layout.shape
    rows, columns = range(height)[y], range(width)[x]
    if not rows or not columns:
        return np.empty((len(rows), len(columns)), index.dtype)
    top, left = min(rows), min(columns)
    box: PixelArray = np.empty((max(rows) + 1 - top, max(columns) + 1 - left), index.dtype)
    for offset in index.layout.offsets_in(top, left, *box.shape):
        content = _chunk(index, file, offset, is_proven)
        decode_chunk(content, offset, index.layout, index.pipeline, box, (top, left))
    return np.ascontiguousarray(box[:: rows.step, :: columns.step])


def _chunk(index: ChunkIndex, file: FileRange, offset: Offset, is_proven: bool) -> Bytes:
    start, size, checksum = index.place(offset)
    content = file(start, size)
    if not is_proven and chunk_checksum(content) != checksum:
        raise ValueError(f"the checksum of the chunk at {offset} does not fit its bytes")
    return content
