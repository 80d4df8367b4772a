"""Chunks are what HDF5's own filters write and read."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from imextract.chunks import ChunkLayout, choose_pipeline, decode_chunk
from imextract.compression import PRESETS, CompressionName
from imextract.hdf5 import encode_plane
from imextract.planes import PIXEL_TYPES, PixelArray
from imextract.stored_pixels import decode_plane

# What a user of h5py gives to have a preset's filters.
FILTERS = {
    "zstd": dict(hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=2)),
    "lz4": dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=2)),
    "gzip": {"shuffle": True, "compression": "gzip", "compression_opts": 4},
    "archive": dict(hdf5plugin.FciDecomp()),
    "none": {},
}
FILTERS_OF_BYTES = {**FILTERS, "zstd": dict(hdf5plugin.Zstd(clevel=1))}


def plane(dtype: str, shape: tuple[int, int]) -> PixelArray:
    return np.random.default_rng(0).normal(300, 4000, shape).astype(dtype)


@pytest.mark.parametrize("dtype", PIXEL_TYPES)
@pytest.mark.parametrize("compression", list(PRESETS))
def test_hdf5_reads_what_we_write(tmp_path: Path, compression: CompressionName, dtype: str) -> None:
    pixels = plane(dtype, (301, 257))
    (tmp_path / "ours.h5").write_bytes(encode_plane(pixels, {}, compression))
    with h5py.File(tmp_path / "ours.h5") as file:
        np.testing.assert_array_equal(file["array"][:], pixels)


@pytest.mark.parametrize(
    ("compression", "dtype"),
    [
        (compression, dtype)
        for compression in PRESETS
        for dtype in PIXEL_TYPES
        # JPEG-LS has at most 16 bits.
        if compression != "archive" or np.dtype(dtype).itemsize <= 2
    ],
)
def test_we_read_what_hdf5_writes(tmp_path: Path, compression: CompressionName, dtype: str) -> None:
    # Sorted, for HDF5 passes over a filter that makes a chunk no smaller.
    pixels = np.sort(plane(dtype, (301, 257)))
    layout = ChunkLayout((301, 257), (128, 200))
    pipeline = next(p for p in PRESETS[compression].pipelines if p.is_for(pixels.itemsize))
    of_preset = FILTERS if pixels.itemsize > 1 else FILTERS_OF_BYTES
    found = np.zeros_like(pixels)
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        filters = {"fletcher32": True, **of_preset[compression]}
        dataset = file.create_dataset("array", data=pixels, chunks=layout.chunk, **filters)
        for offset in layout.offsets_in(0, 0, *layout.shape):
            skipped, content = dataset.id.read_direct_chunk(offset)
            assert not skipped
            decode_chunk(content, offset, layout, pipeline, found, (0, 0))
    np.testing.assert_array_equal(found, pixels)


def test_the_archive_takes_what_makes_a_plane_smaller() -> None:
    layout = ChunkLayout.of(300, 300)
    y, x = np.indices(layout.shape)
    seen = (1000 + 10 * y + 7 * x + np.random.default_rng(0).integers(0, 9, y.shape)).astype("u2")
    computed = np.random.default_rng(0).choice(np.array([0, 60_000], "u2"), (300, 300))
    jpeg_ls, zstandard = PRESETS["archive"].pipelines
    assert choose_pipeline(seen, layout, PRESETS["archive"]) == jpeg_ls
    assert choose_pipeline(computed, layout, PRESETS["archive"]) == zstandard
    assert choose_pipeline(seen.astype("f4"), layout, PRESETS["archive"]) == zstandard


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 2), (257, 511)])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_the_archive_keeps_planes_of_any_shape(dtype: str, shape: tuple[int, int]) -> None:
    pixels = plane(dtype, shape)
    found = decode_plane(encode_plane(pixels, {}, "archive"), "plane")
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    ("length", "part"), [(1, 1), (256, 256), (257, 129), (1080, 216), (2048, 256), (2160, 240)]
)
def test_planes_are_divided_evenly(length: int, part: int) -> None:
    assert ChunkLayout.of(length, 1).chunk == (part, 1)
