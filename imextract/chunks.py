"""The bytes of chunks: what HDF5's filters make of pixels, made without HDF5.

HDF5 lets one thread at a time run its filters, and its shuffle is slow. What
is made here any HDF5 program reads with its filters, and whatever they wrote
is read here; meanwhile other threads run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from imextract.compression import BLOSC, DEFLATE, JPEG_LS, ZSTANDARD, Pipeline, Preset
from imextract.planes import PixelArray

__all__ = [
    "Bytes",
    "ChunkLayout",
    "Offset",
    "choose_pipeline",
    "decode_chunk",
    "encode_chunks",
]

# As many rows and columns at most. Measured (python -m benchmarks --only reading): less would
# slow down whole planes, more would slow down regions.
_CHUNK = 256

_CHECKSUM_BYTES = 4

# Of so many chunks one tells how well a pipeline does; of 8 x 8 those on the diagonal.
_SAMPLE = 9

# Its types do not know that arrays and views of bytes will do.
_codecs: Any = imagecodecs

Bytes: TypeAlias = bytes | memoryview
Offset: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How a plane is divided.

    Attributes
    ----------
    shape, chunk
        (height, width) of the plane and of each chunk of it.
    """

    shape: tuple[int, int]
    chunk: tuple[int, int]

    @classmethod
    def of(cls, height: int, width: int) -> "ChunkLayout":
        """Divide a plane evenly: what chunks have beyond its edges costs time as well."""
        return cls((height, width), (_even_part(height), _even_part(width)))

    def offsets_in(self, top: int, left: int, height: int, width: int) -> Iterator[Offset]:
        """Give the first row and column of every chunk that a region touches."""
        rows, columns = self.chunk
        for y in range(top - top % rows, top + height, rows):
            for x in range(left - left % columns, left + width, columns):
                yield y, x


def choose_pipeline(pixels: PixelArray, layout: ChunkLayout, preset: Preset) -> Pipeline:
    """Choose the pipeline of a preset that makes a plane smallest, by some of its chunks."""
    able = [p for p in preset.pipelines if p.is_for(pixels.dtype.itemsize)]
    if len(able) == 1:
        return able[0]
    some = list(layout.offsets_in(0, 0, *layout.shape))[::_SAMPLE]
    return min(able, key=lambda p: sum(len(c) for _, c in encode_chunks(pixels, layout, p, some)))


def encode_chunks(
    pixels: PixelArray,
    layout: ChunkLayout,
    pipeline: Pipeline,
    offsets: Iterable[Offset] | None = None,
) -> Iterator[tuple[Offset, bytes]]:
    """Compress a plane chunk by chunk, each with the checksum that HDF5 puts after it.

    Parameters
    ----------
    offsets
        Which chunks; all by default.

    Yields
    ------
    offset, bytes
        First row and column of the chunk, and what is stored of it.
    """
    compress = _COMPRESSORS[pipeline.filter_number]
    planes = _byte_planes(pixels) if pipeline.is_shuffled else _whole(pixels)
    for y, x in layout.offsets_in(0, 0, *layout.shape) if offsets is None else offsets:
        part = planes[:, y : y + layout.chunk[0], x : x + layout.chunk[1]]
        content = compress(_filled_up(part, layout.chunk), pipeline.filter_options)
        yield (y, x), content + _checksum(content)


def decode_chunk(
    content: Bytes,
    offset: Offset,
    layout: ChunkLayout,
    pipeline: Pipeline,
    box: PixelArray,
    at: Offset,
) -> None:
    """Decompress a chunk that is whole, and put what of it lies in a box there.

    Parameters
    ----------
    offset
        First row and column of the chunk in the plane.
    box
        Part of the plane, of its type in native byte order, to be filled.
    at
        First row and column of the box in the plane.
    """
    stored = memoryview(content)[:-_CHECKSUM_BYTES]
    size = layout.chunk[0] * layout.chunk[1] * box.dtype.itemsize
    raw = np.frombuffer(_DECOMPRESSORS[pipeline.filter_number](stored, size), np.uint8, size)
    within, part = _overlap(offset, layout.chunk, at, box.shape)
    if pipeline.is_shuffled:
        _join(raw.reshape(-1, *layout.chunk)[:, *part], box[within])
    else:
        box[within] = raw.view(box.dtype.newbyteorder("<")).reshape(layout.chunk)[part]


def _overlap(
    offset: Offset, chunk: tuple[int, int], at: Offset, box: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Give what a chunk and a box have in common, as a part of the box and of the chunk."""
    tops = [max(start, first) for start, first in zip(offset, at, strict=True)]
    ends = [
        min(start + length, first + size)
        for start, length, first, size in zip(offset, chunk, at, box, strict=True)
    ]
    return _slices(tops, ends, at), _slices(tops, ends, offset)


def _slices(tops: list[int], ends: list[int], origin: Offset) -> tuple[slice, slice]:
    (top, left), (bottom, right), (y, x) = tops, ends, origin
    return slice(top - y, bottom - y), slice(left - x, right - x)


def _even_part(length: int) -> int:
    return -(-length // -(-length // _CHUNK))


def _whole(pixels: PixelArray) -> PixelArray:
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)[np.newaxis]


def _byte_planes(pixels: PixelArray) -> NDArray[np.uint8]:
    """Give the lowest byte of all pixels, then the next: HDF5's shuffle."""
    values = pixels.view(f"u{pixels.dtype.itemsize}")
    if values.dtype == np.uint8:
        return values[np.newaxis]
    shuffled = np.empty((values.dtype.itemsize, *values.shape), np.uint8)
    for number, plane in enumerate(shuffled):
        # Shifting, which processors do to many values at once, is much faster
        # than picking every second byte.
        np.right_shift(values, 8 * number, out=plane, casting="unsafe")
    return shuffled


def _join(planes: NDArray[np.uint8], pixels: PixelArray) -> None:
    """Undo `_byte_planes`."""
    values = planes[-1].astype(f"u{pixels.dtype.itemsize}")
    for plane in planes[-2::-1]:
        # As good as shifting and a bitwise or, but NumPy is faster at these.
        values *= 256
        values += plane
    # At last, as NumPy is slow at arithmetic on a part of an array.
    pixels[...] = values.view(pixels.dtype)


def _filled_up(part: PixelArray, chunk: tuple[int, int]) -> PixelArray:
    """Fill up what ends at an edge of the plane: HDF5 knows but whole chunks."""
    if part.shape[1:] == chunk:
        return np.ascontiguousarray(part)
    whole = np.zeros((len(part), *chunk), part.dtype)
    whole[:, : part.shape[1], : part.shape[2]] = part
    return whole


def _checksum(content: Bytes) -> bytes:
    return int(_codecs.h5checksum_fletcher32(content)).to_bytes(_CHECKSUM_BYTES, "little")


def _jpeg_ls(part: PixelArray, _: tuple[int, ...]) -> bytes:
    values = part[0].view(f"u{part.dtype.itemsize}")
    # Pure noise grows, beyond what the codec would allow for by itself.
    encoded: bytes = _codecs.jpegls_encode(values, out=2 * values.nbytes + 1024)
    return encoded


def _blosc(part: PixelArray, options: tuple[int, ...]) -> bytes:
    level, shuffle, compressor = options[4:7]
    encoded: bytes = _codecs.blosc_encode(
        part,
        level=level,
        shuffle=shuffle,
        compressor=compressor,
        typesize=part.dtype.itemsize,
        # One for all: of a chunk nobody reads less, and the fewer the faster.
        blocksize=part.nbytes,
        numthreads=1,
    )
    return encoded


_COMPRESSORS: Mapping[int | None, Callable[[PixelArray, tuple[int, ...]], bytes]] = {
    ZSTANDARD: lambda part, options: _codecs.zstd_encode(part, level=options[0]),
    DEFLATE: lambda part, options: _codecs.deflate_encode(part, level=options[0]),
    BLOSC: _blosc,
    JPEG_LS: _jpeg_ls,
    None: lambda part, _: part.tobytes(),
}
_DECOMPRESSORS: Mapping[int | None, Callable[[memoryview, int], Bytes]] = {
    ZSTANDARD: lambda stored, size: _codecs.zstd_decode(stored, out=size),
    DEFLATE: lambda stored, size: _codecs.deflate_decode(stored, out=size),
    BLOSC: lambda stored, size: _codecs.blosc_decode(stored, numthreads=1, out=size),
    JPEG_LS: lambda stored, _: _codecs.jpegls_decode(stored).data,
    None: lambda stored, _: stored,
}
