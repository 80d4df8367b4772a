"""One plane as an HDF5 file: bytes in, bytes out; the only importer of HDF5.

The file is built in memory, so that whatever keeps it (`imextract.store`)
puts it in place in one durable step, and a whole plane is read with one
sequential read. Low-level calls, because h5py's own take three times as long
for a file this small; chunks are coded by `imextract.chunks` and found by
`imextract.chunk_index`, not by HDF5.

Damaged pixels do not go unnoticed, by other programs either: chunks carry
Fletcher32, what describes them the checksums of the newer file format (hence
the version bounds). Texts of attributes are of variable length, which every
tool shows as text; their heap has no checksum of its own, so the ledger keeps
one of the whole file.
"""

import functools
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5l, h5p, h5s, h5t, h5z

from imextract.chunk_index import IDENTIFYING, ChunkIndex, chunk_checksum, chunk_table
from imextract.chunks import Bytes, ChunkLayout, Offset, choose_pipeline, encode_chunks
from imextract.compression import PRESETS, CompressionName, Pipeline
from imextract.damage import damage_named
from imextract.errors import StorageError
from imextract.file_image import FileImage
from imextract.planes import PIXEL_TYPES, PixelArray

__all__ = ["Attributes", "decode_attributes", "encode_plane", "require_agreement"]

DATASET = b"array"
INDEX = b"index"

# For attributes, index and what else HDF5 keeps.
_ROOM_BESIDES = 2**16

Attributes: TypeAlias = Mapping[str, str | int | float]


def encode_plane(
    pixels: PixelArray, attributes: Attributes, compression: CompressionName
) -> memoryview:
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
    memoryview
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


def decode_attributes(content: Bytes, name: str) -> dict[str, str | int | float]:
    """Read the root attributes from the bytes of a plane's file.

    Raises
    ------
    DamagedPlaneError
        If the bytes are no such file, or damaged; `name` says which.
    """
    with damage_named(name, OSError):
        file = _open_bytes(content)
        try:
            names = [h5a.open(file, index=i).name for i in range(h5a.get_num_attrs(file))]
            return {key.decode(): _read_attribute(h5a.open(file, key)) for key in names}
        finally:
            file.close()


def require_agreement(content: Bytes, index: ChunkIndex) -> None:
    """Make sure that HDF5 finds the same plane in a file as its index, and its pixels there.

    Raises
    ------
    ValueError, OSError, RuntimeError, KeyError
        If it does not, or cannot read the file.
    """
    file = _open_bytes(content)
    try:
        dataset = _open_dataset(file)
        creation = dataset.get_create_plist()
        found = (
            ChunkLayout(dataset.shape, creation.get_chunk()),
            dataset.dtype.newbyteorder("=").name,
            tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters())),
        )
        if found != (index.layout, index.dtype, _filters(index.pipeline)):
            raise ValueError("its index of chunks tells another plane than its dataset")
        if _identity(file) != index.identity:
            raise ValueError("its index of chunks tells another plane than its attributes")
        places = _places(dataset, index.layout)
    finally:
        file.close()
    if any((*index.place(at)[:2], 0) != place for at, place in places.items()):
        raise ValueError("its chunks lie elsewhere than its index says")


def _build(pixels: PixelArray, attributes: Attributes, compression: CompressionName) -> memoryview:
    layout = ChunkLayout.of(*pixels.shape)
    pipeline = choose_pipeline(pixels, layout, PRESETS[compression])
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    # Closing the file is to write all of it, whatever of it is still open.
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    image = FileImage(pixels.nbytes + _ROOM_BESIDES)
    access.set_fileobj_driver(h5fd.fileobj_driver, image)
    file = h5f.create(b"plane.h5", h5f.ACC_TRUNC, fapl=access)
    try:
        index = ChunkIndex.blank(layout, pixels.dtype.name, pipeline, attributes)
        # Before all attributes: whatever these hold, the index is what is found first.
        room = _create_index(file, len(index.encode()))
        for key, value in attributes.items():
            _write_attribute(file, key, value)
        dataset = _create_dataset(file, pixels, layout, pipeline)
        index = replace(index, table=_write_chunks(dataset, pixels, layout, pipeline))
        room.write(h5s.ALL, h5s.ALL, np.frombuffer(index.encode(), np.uint8))
    finally:
        file.close()
    return image.content


def _create_index(file: h5f.FileID, size: int) -> h5d.DatasetID:
    """Make room for the index of chunks, where the file begins."""
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_layout(h5d.CONTIGUOUS)
    creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    return h5d.create(file, INDEX, h5t.STD_U8LE, h5s.create_simple((size,)), dcpl=creation)


def _write_chunks(
    dataset: h5d.DatasetID, pixels: PixelArray, layout: ChunkLayout, pipeline: Pipeline
) -> bytes:
    """Write a plane chunk by chunk, and give the table of them."""
    checksums = []
    for offset, content in encode_chunks(pixels, layout, pipeline):
        dataset.write_direct_chunk(offset, content)
        checksums.append(chunk_checksum(content))
    places = _places(dataset, layout)
    return chunk_table(
        (start, size, checksum)
        for (start, size, _), checksum in zip(places.values(), checksums, strict=True)
    )


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


def _identity(file: h5f.FileID) -> dict[str, str | int | float]:
    there = [name for name in IDENTIFYING if h5a.exists(file, name.encode())]
    return {name: _read_attribute(h5a.open(file, name.encode())) for name in there}


def _open_bytes(content: Bytes) -> h5f.FileID:
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


def _places(dataset: h5d.DatasetID, layout: ChunkLayout) -> dict[Offset, tuple[int, int, int]]:
    """Tell of each chunk, row by row: first byte, size, and filters that it did not go through."""
    found: dict[Offset, tuple[int, int, int]] = {}
    dataset.chunk_iter(
        lambda chunk: found.update(
            {chunk.chunk_offset: (chunk.byte_offset, chunk.size, chunk.filter_mask)}
        )
    )
    return {offset: found[offset] for offset in layout.offsets_in(0, 0, *layout.shape)}


def _filters(pipeline: Pipeline) -> tuple[int, ...]:
    shuffle = (h5z.FILTER_SHUFFLE,) if pipeline.is_shuffled else ()
    compression = () if pipeline.filter_number is None else (pipeline.filter_number,)
    return *shuffle, *compression, h5z.FILTER_FLETCHER32
