"""One plane as an HDF5 file: bytes in, bytes out; the only importer of HDF5.

The file is built in memory, so that whatever keeps it (`imextract.store`)
puts it in place in one durable step, and a whole plane is read with one
sequential read. Low-level calls, because h5py's own take three times as long
for a file this small; chunks are coded by `imextract.chunks`, not by HDF5.

Damaged pixels do not go unnoticed: chunks carry Fletcher32, what describes
them the checksums of the newer file format (hence the version bounds). Texts
of attributes are of variable length, which every tool shows as text; their
heap has no checksum of its own, so the ledger keeps one of the whole file.
"""

import functools
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5l, h5p, h5s, h5t, h5z

from imextract.chunks import ChunkLayout, check_chunk, choose_pipeline, decode_chunk, encode_chunks
from imextract.compression import PRESETS, CompressionName, Pipeline
from imextract.errors import DamagedPlaneError, StorageError
from imextract.planes import PIXEL_TYPES, PixelArray

__all__ = ["Attributes", "decode_attributes", "decode_plane", "encode_plane", "read_region"]

DATASET = b"array"

Attributes: TypeAlias = Mapping[str, str | int | float]

_WHOLE = slice(None)

# Gives the filters that a chunk did not go through, and its bytes.
ChunkSource: TypeAlias = Callable[[tuple[int, int]], tuple[int, bytes | memoryview]]


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
        The file: dataset ``array`` in chunks.

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
        native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        return _build(native, attributes, compression)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(
            f"HDF5 cannot build a plane of {pixels.nbytes} bytes: {error}"
        ) from error


def decode_plane(content: bytes, name: str, *, is_proven: bool = False) -> PixelArray:
    """Read the pixels from the bytes of a plane's file.

    Parameters
    ----------
    is_proven
        True if a checksum of all the bytes was compared: those of the chunks,
        which take longer than some presets' decompression, tell no more.

    Returns
    -------
    ndarray, shape (height, width), native byte order

    Raises
    ------
    DamagedPlaneError
        If the bytes are no such file, or damaged; `name` says which.
    """
    with _damage_named(name):
        file = _open_bytes(content)
        try:
            dataset = _open_dataset(file)
            return _read(
                dataset, _WHOLE, _WHOLE, _chunks_in(dataset, memoryview(content)), is_proven
            )
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
        file = _open_bytes(content)
        try:
            names = [h5a.open(file, index=i).name for i in range(h5a.get_num_attrs(file))]
            return {key.decode(): _read_attribute(h5a.open(file, key)) for key in names}
        finally:
            file.close()


def read_region(path: Path, y: slice, x: slice, expected: Attributes) -> PixelArray:
    """Read a region of a plane's file, only the chunks that it touches.

    Parameters
    ----------
    y, x
        Rows and columns, as for indexing an array.
    expected
        Attributes by which it is known to be this plane's.

    Returns
    -------
    ndarray, shape of the region, native byte order

    Raises
    ------
    DamagedPlaneError
        If the file is missing or damaged, or another plane's.
    """
    with _damage_named(str(path)):
        file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _reading())
        try:
            for key, value in expected.items():
                if (found := _read_attribute(h5a.open(file, key.encode()))) != value:
                    raise ValueError(f"another plane's: {key} is {found}, expected {value}")
            dataset = _open_dataset(file)
            return _read(dataset, y, x, dataset.read_direct_chunk)
        finally:
            file.close()


@functools.cache
def _reading() -> h5p.PropFAID:
    access = h5p.create(h5p.FILE_ACCESS)
    # Readers lock nobody out, and need no permission to lock.
    access.set_file_locking(False, True)
    return access


def _build(pixels: PixelArray, attributes: Attributes, compression: CompressionName) -> bytes:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_fapl_core(block_size=1 << 20, backing_store=False)
    file = h5f.create(b"plane.h5", h5f.ACC_TRUNC, fapl=access)
    try:
        for key, value in attributes.items():
            _write_attribute(file, key, value)
        layout = ChunkLayout.of(*pixels.shape)
        pipeline = choose_pipeline(pixels, layout, PRESETS[compression])
        dataset = _create_dataset(file, pixels, layout, pipeline)
        for offset, content in encode_chunks(pixels, layout, pipeline):
            dataset.write_direct_chunk(offset, content)
        h5f.flush(file)
        image: bytes = file.get_file_image()
        return image
    finally:
        file.close()


def _create_dataset(
    file: h5f.FileID, pixels: PixelArray, layout: ChunkLayout, pipeline: Pipeline
) -> h5d.DatasetID:
    kind = h5t.py_create(pixels.dtype.newbyteorder("<"))
    creation = _creation(layout, pipeline)
    return h5d.create(file, DATASET, kind, h5s.create_simple(layout.shape), dcpl=creation)


def _creation(layout: ChunkLayout, pipeline: Pipeline) -> h5p.PropDCID:
    """Say by which filters HDF5 reads what `encode_chunks` writes."""
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(layout.chunk)
    # Every chunk is written, so filling it first would be for nothing.
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    if pipeline.is_shuffled:
        creation.set_shuffle()
    if pipeline.filter_number is not None:
        if not h5z.filter_avail(pipeline.filter_number):
            raise StorageError(
                f"HDF5 has no compression filter {pipeline.filter_number}; "
                "install hdf5plugin anew, or choose another preset"
            )
        creation.set_filter(pipeline.filter_number, h5z.FLAG_OPTIONAL, pipeline.filter_options)
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
    stored, in_memory, scalar = _attribute_types(kind)
    attribute = h5a.create(file, key.encode(), stored, scalar)
    attribute.write(array, mtype=in_memory)


@functools.cache
def _attribute_types(kind: "np.dtype[np.generic]") -> tuple[h5t.TypeID, h5t.TypeID, h5s.SpaceID]:
    """Make once what takes longer than writing an attribute."""
    return h5t.py_create(kind, logical=True), h5t.py_create(kind), h5s.create(h5s.SCALAR)


def _read_attribute(attribute: h5a.AttrID) -> str | int | float:
    array = np.empty((), dtype=attribute.dtype)
    attribute.read(array)
    value = array.item()
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _open_bytes(content: bytes) -> h5f.FileID:
    """Open the bytes of a file, without a copy of them."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5fd.fileobj_driver, io.BytesIO(content))
    return h5f.open(b"plane.h5", h5f.ACC_RDONLY, access)


def _open_dataset(file: h5f.FileID) -> h5d.DatasetID:
    """Open the pixels, which must lie in this very file."""
    if file.links.get_info(DATASET).type != h5l.TYPE_HARD:
        raise ValueError("its dataset is a link to elsewhere")
    dataset = h5d.open(file, DATASET)
    creation = dataset.get_create_plist()
    # Neither virtual nor in external files, which are no chunks.
    if creation.get_layout() != h5d.CHUNKED or dataset.rank != 2:
        raise ValueError("its dataset is no plane in chunks")
    return dataset


def _chunks_in(dataset: h5d.DatasetID, content: memoryview) -> ChunkSource:
    def find(offset: tuple[int, int]) -> tuple[int, memoryview]:
        found = dataset.get_chunk_info_by_coord(offset)
        start = found.byte_offset
        return found.filter_mask, content[start : start + found.size]

    return find


def _read(
    dataset: h5d.DatasetID, y: slice, x: slice, chunks: ChunkSource, is_proven: bool = False
) -> PixelArray:
    height, width = dataset.shape
    rows, columns = range(height)[y], range(width)[x]
    kind = dataset.dtype.newbyteorder("=")
    if not rows or not columns:
        return np.empty((len(rows), len(columns)), kind)
    top, left = min(rows), min(columns)
    box: PixelArray = np.empty((max(rows) + 1 - top, max(columns) + 1 - left), kind)
    _fill(box, dataset, (top, left), chunks, is_proven)
    return np.ascontiguousarray(box[:: rows.step, :: columns.step])


def _fill(
    box: PixelArray,
    dataset: h5d.DatasetID,
    origin: tuple[int, int],
    chunks: ChunkSource,
    is_proven: bool,
) -> None:
    """Fill an array with the pixels from a first row and column on."""
    creation = dataset.get_create_plist()
    pipeline = _pipeline_of(creation)
    layout = ChunkLayout(dataset.shape, creation.get_chunk())
    for offset in layout.offsets_in(*origin, *box.shape):
        skipped, content = chunks(offset)
        if pipeline is None or skipped:
            _fill_by_hdf5(box, dataset, origin)
            return
        if not is_proven:
            check_chunk(content)
        decode_chunk(content, offset, layout, pipeline, box, origin)


def _pipeline_of(creation: h5p.PropDCID) -> Pipeline | None:
    """Give the pipeline of a dataset; None if it is none of ours."""
    filters = tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters()))
    known = (pipeline for preset in PRESETS.values() for pipeline in preset.pipelines)
    return next((pipeline for pipeline in known if _filters(pipeline) == filters), None)


def _filters(pipeline: Pipeline) -> tuple[int, ...]:
    shuffle = (h5z.FILTER_SHUFFLE,) if pipeline.is_shuffled else ()
    compression = () if pipeline.filter_number is None else (pipeline.filter_number,)
    return *shuffle, *compression, h5z.FILTER_FLETCHER32


def _fill_by_hdf5(box: PixelArray, dataset: h5d.DatasetID, origin: tuple[int, int]) -> None:
    region = dataset.get_space()
    region.select_hyperslab(origin, box.shape)
    dataset.read(h5s.create_simple(box.shape), region, box)


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
