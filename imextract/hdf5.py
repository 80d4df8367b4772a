"""One plane as an HDF5 file: bytes in, bytes out; the only importer of HDF5.

The file is built in memory, so that whatever keeps it (`imextract.store`)
puts it in place in one durable step, and a whole plane is read with one
sequential read. Low-level calls, because h5py's own take three times as long
for a file this small.

Damaged pixels do not go unnoticed: chunks carry Fletcher32, what describes
them the checksums of the newer file format (hence the version bounds). Texts
of attributes are of variable length, which every tool shows as text; their
heap has no checksum of its own, so the ledger keeps one of the whole file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
from h5py import h5a, h5d, h5f, h5p, h5s, h5t, h5z

from imextract.compression import PRESETS, CompressionName
from imextract.errors import DamagedPlaneError, StorageError
from imextract.planes import PIXEL_TYPES, PixelArray

__all__ = ["Attributes", "decode_attributes", "decode_plane", "encode_plane", "read_region"]

DATASET = b"array"
CHUNK = 512

Attributes: TypeAlias = Mapping[str, str | int | float]


def encode_plane(pixels: PixelArray, attributes: Attributes, compression: CompressionName) -> bytes:
    """Build the HDF5 file of a plane.

    Parameters
    ----------
    pixels : ndarray, shape (height, width), any stored dtype
    attributes
        Root attributes of the file.
    compression
        Name of the preset.

    Returns
    -------
    bytes
        The file: dataset ``array`` in chunks of at most 512 x 512.

    Raises
    ------
    StorageError
        If HDF5 cannot build it.
    """
    if pixels.ndim != 2 or pixels.dtype.name not in PIXEL_TYPES or 0 in pixels.shape:
        raise StorageError(
            f"cannot store an array of shape {pixels.shape} and type {pixels.dtype}; expected a "
            f"plane of two dimensions and one of the types {', '.join(PIXEL_TYPES)}"
        )
    try:
        return _build(np.ascontiguousarray(pixels), attributes, compression)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(
            f"HDF5 cannot build a plane of {pixels.nbytes} bytes: {error}"
        ) from error


def decode_plane(content: bytes, name: str) -> PixelArray:
    """Read the pixels from the bytes of a plane's file.

    Returns
    -------
    ndarray, shape (height, width), native byte order

    Raises
    ------
    DamagedPlaneError
        If the bytes are no such file, or damaged; `name` says which.
    """
    with _damage_named(name):
        file = h5f.open_file_image(content)
        try:
            return _read(h5d.open(file, DATASET), slice(None), slice(None))
        finally:
            file.close()


def decode_attributes(content: bytes, name: str) -> dict[str, str | int | float]:
    """Read the root attributes from the bytes of a plane's file.

    Raises
    ------
    DamagedPlaneError
        If the bytes are no such file, or damaged; `name` says which.
    """
    with _damage_named(name):
        file = h5f.open_file_image(content)
        try:
            names = [h5a.open(file, index=i).name for i in range(h5a.get_num_attrs(file))]
            return {key.decode(): _read_attribute(h5a.open(file, key)) for key in names}
        finally:
            file.close()


def read_region(path: Path, y: slice, x: slice) -> PixelArray:
    """Read a region of a plane's file, only the chunks that it touches.

    Returns
    -------
    ndarray, shape of the region, native byte order

    Raises
    ------
    DamagedPlaneError
        If the file is missing or damaged.
    """
    with _damage_named(str(path)):
        # Readers lock nobody out, and need no permission to lock.
        with h5py.File(path, "r", locking=False) as file:
            return _read(file[DATASET.decode()].id, y, x)


def _build(pixels: PixelArray, attributes: Attributes, compression: CompressionName) -> bytes:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_fapl_core(block_size=1 << 20, backing_store=False)
    file = h5f.create(b"plane.h5", h5f.ACC_TRUNC, fapl=access)
    try:
        for key, value in attributes.items():
            _write_attribute(file, key, value)
        kind = h5t.py_create(pixels.dtype.newbyteorder("<"))
        space = h5s.create_simple(pixels.shape)
        dataset = h5d.create(file, DATASET, kind, space, dcpl=_pipeline(pixels, compression))
        dataset.write(h5s.ALL, h5s.ALL, pixels)
        h5f.flush(file)
        image: bytes = file.get_file_image()
        return image
    finally:
        file.close()


def _pipeline(pixels: PixelArray, compression: CompressionName) -> h5p.PropDCID:
    preset = PRESETS[compression]
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(tuple(min(CHUNK, length) for length in pixels.shape))
    # Every chunk is written, so filling it first would be for nothing.
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    if preset.is_shuffled:
        creation.set_shuffle()
    if preset.filter_number is not None:
        if not h5z.filter_avail(preset.filter_number):
            raise StorageError(
                f"HDF5 has no filter {preset.filter_number} for the preset {compression!r}; "
                "install hdf5plugin anew, or choose another preset"
            )
        # Optional: chunks of pure noise, which would only grow, are stored as they are.
        creation.set_filter(preset.filter_number, h5z.FLAG_OPTIONAL, preset.filter_options)
    creation.set_fletcher32()
    return creation


def _write_attribute(file: h5f.FileID, key: str, value: str | float) -> None:
    if isinstance(value, str):
        kind = h5py.string_dtype("utf-8")
        # As bytes, because file names may hold some that are no UTF-8.
        array = np.array(value.encode("utf-8", "surrogateescape"), dtype=kind)
    else:
        kind = np.dtype("<i8" if isinstance(value, int) else "<f8")
        array = np.array(value, dtype=kind)
    stored = h5t.py_create(kind, logical=True)
    attribute = h5a.create(file, key.encode(), stored, h5s.create(h5s.SCALAR))
    attribute.write(array, mtype=h5t.py_create(kind))


def _read_attribute(attribute: h5a.AttrID) -> str | int | float:
    array = np.empty((), dtype=attribute.dtype)
    attribute.read(array)
    value = array.item()
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _read(dataset: h5d.DatasetID, y: slice, x: slice) -> PixelArray:
    height, width = dataset.shape
    rows, columns = range(height)[y], range(width)[x]
    pixels = np.empty((len(rows), len(columns)), dtype=dataset.dtype.newbyteorder("="))
    if pixels.size == 0:
        return pixels
    if pixels.shape == (height, width) and rows.step > 0 and columns.step > 0:
        dataset.read(h5s.ALL, h5s.ALL, pixels)
        return pixels
    region = dataset.get_space()
    start = (min(rows), min(columns))
    region.select_hyperslab(start, pixels.shape, (abs(rows.step), abs(columns.step)))
    dataset.read(h5s.create_simple(pixels.shape), region, pixels)
    flipped = pixels[:: 1 if rows.step > 0 else -1, :: 1 if columns.step > 0 else -1]
    return np.ascontiguousarray(flipped)


class _damage_named:  # noqa: N801  reads as the statement that it is
    """Turn whatever HDF5 says of a broken file into one error that names it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise DamagedPlaneError(f"{self._name}: the stored plane is missing") from error
        if isinstance(error, OSError | RuntimeError | KeyError | ValueError | TypeError):
            raise DamagedPlaneError(
                f"{self._name}: the stored plane is damaged or no plane: {error}; "
                "extract it again while its original is there"
            ) from error
