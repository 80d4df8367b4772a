"""The HDF5 form of a plane: identity, attributes, damage."""

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters for h5py
import numpy as np
import pytest

from imextract.chunk_index import ChunkIndex
from imextract.compression import PRESETS, CompressionName
from imextract.errors import DamagedPlaneError, StorageError
from imextract.hdf5 import decode_attributes, encode_plane
from imextract.planes import PIXEL_TYPES, PixelArray
from imextract.stored_pixels import decode_plane, read_region


def plane(dtype: str = "uint16", shape: tuple[int, int] = (700, 600)) -> PixelArray:
    noise = np.random.default_rng(0).normal(300, 40, shape)
    return noise.astype(dtype)


@pytest.mark.parametrize("compression", list(PRESETS))
@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_every_type_comes_back_from_every_preset(dtype: str, compression: CompressionName) -> None:
    pixels = plane(dtype, (37, 53))
    found = decode_plane(encode_plane(pixels, {}, compression), "plane")
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (512, 512), (513, 511)])
def test_every_shape_comes_back(shape: tuple[int, int]) -> None:
    pixels = plane(shape=shape)
    np.testing.assert_array_equal(decode_plane(encode_plane(pixels, {}, "zstd"), ""), pixels)


def test_a_big_endian_plane_is_stored_little_endian_and_read_native() -> None:
    pixels = plane().astype(">u2")
    found = decode_plane(encode_plane(pixels, {}, "zstd"), "plane")
    assert found.dtype == np.dtype("uint16")
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("compression", list(PRESETS))
def test_any_hdf5_tool_reads_a_plane(tmp_path: Path, compression: CompressionName) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(), {"well": "B03", "site": 2}, compression))
    with h5py.File(path) as file:
        assert file["array"].chunks == (234, 200)
        assert file["array"].fletcher32
        assert file.attrs["well"] == "B03"
        assert file.attrs["site"] == 2
        np.testing.assert_array_equal(file["array"][:], plane())


def test_attributes_come_back_whatever_their_text() -> None:
    given: dict[str, str | int | float] = {"name": "Zürich \n'\"", "n": 3, "x": 0.325}
    given |= {"bytes": "a\udcff.tif", "empty": ""}
    assert decode_attributes(encode_plane(plane(), given, "none"), "plane") == given


@pytest.mark.parametrize("compression", list(PRESETS))
def test_no_flipped_bit_gives_wrong_pixels(compression: CompressionName) -> None:
    content = encode_plane(plane(), {"well": "B03"}, compression)
    where = random.Random(0)
    for _ in range(60):
        bit = where.randrange(len(content) * 8)
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = decode_plane(bytes(damaged), "plane")
        except DamagedPlaneError:
            continue
        np.testing.assert_array_equal(found, plane(), err_msg=f"bit {bit}")


@pytest.mark.parametrize(
    ("y", "x"),
    [
        (slice(5, 100), slice(3, None)),
        (slice(None, None, -1), slice(None)),
        (slice(600, 5, -3), slice(0, 500, 7)),
        (slice(-5, None), slice(None, None, -2)),
        (slice(0, 0), slice(None)),
        (slice(650, 9000), slice(-10_000, 4)),
    ],
)
def test_a_region_is_what_indexing_gives(tmp_path: Path, y: slice, x: slice) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(), {}, "zstd"))
    np.testing.assert_array_equal(read_region(path, y, x, {}), plane()[y, x])


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 2, 3), "u1"), np.zeros((2, 2), complex), np.zeros((0, 4), "u1")]
)
def test_what_is_no_plane_is_refused(pixels: PixelArray) -> None:
    with pytest.raises(StorageError, match="expected a plane of two dimensions"):
        encode_plane(pixels, {}, "zstd")


@pytest.mark.parametrize("content", [b"", b"no HDF5", encode_plane(plane(), {}, "gzip")[:-9]])
def test_what_is_no_stored_plane_is_named_damaged(content: bytes) -> None:
    with pytest.raises(DamagedPlaneError, match=r"7\.h5: the stored plane is damaged"):
        decode_plane(content, "7.h5")


def link(file: h5py.File, other: Path) -> None:
    file["array"] = h5py.ExternalLink(str(other), "array")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("array", (8, 8), "uint8", external=[(str(other), 0, 64)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((40, 50), "uint16")
    layout[:] = h5py.VirtualSource(str(other), "array", (40, 50))
    file.create_virtual_dataset("array", layout)


@pytest.mark.parametrize("lead_out", [link, external_storage, virtual])
def test_pixels_of_another_file_are_never_given(
    tmp_path: Path, lead_out: Callable[[h5py.File, Path], None]
) -> None:
    other, path = tmp_path / "other.h5", tmp_path / "plane.h5"
    other.write_bytes(encode_plane(plane(shape=(40, 50)), {}, "none"))
    path.write_bytes(encode_plane(np.zeros_like(plane(shape=(40, 50))), {}, "none"))
    with h5py.File(path, "r+") as file:
        file.move("array", "ours")
        lead_out(file, other)
    # The trap works: HDF5 by itself follows.
    with h5py.File(path) as file:
        assert file["array"][:].any()
    # What a region gives is told by the file's own index, checksums and all.
    assert not read_region(path, slice(9), slice(9), {}).any()
    with pytest.raises(DamagedPlaneError):
        decode_plane(path.read_bytes(), "plane")


@pytest.mark.parametrize("compression", list(PRESETS))
def test_a_region_with_a_flipped_bit_is_refused(
    tmp_path: Path, compression: CompressionName
) -> None:
    path = tmp_path / "plane.h5"
    content = encode_plane(plane(shape=(100, 100)), {}, compression)
    index = ChunkIndex.read(lambda start, size: content[start : start + size])
    start, size, _ = index.place((0, 0))
    for byte in (start, start + size // 2, start + size - 1):
        damaged = bytearray(content)
        damaged[byte] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DamagedPlaneError, match=r"plane\.h5.*chunk at \(0, 0\)"):
            read_region(path, slice(0, 1), slice(0, 1), {})


def test_a_region_of_another_plane_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(), {"plane_id": 7, "well": "B03"}, "zstd"))
    read_region(path, slice(1), slice(1), {"plane_id": 7})
    with pytest.raises(DamagedPlaneError, match="another plane's: plane_id is 7, expected 8"):
        read_region(path, slice(1), slice(1), {"plane_id": 8})


@pytest.mark.parametrize("told", [{"height": 6}, {"width": 6}, {"dtype": "int16"}])
def test_a_region_of_a_plane_of_another_size_or_type_is_refused(
    tmp_path: Path, told: dict[str, str | int | float]
) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(shape=(40, 50)), {}, "zstd"))
    as_it_is: dict[str, str | int | float] = {"height": 40, "width": 50, "dtype": "uint16"}
    read_region(path, slice(1), slice(1), as_it_is)
    with pytest.raises(DamagedPlaneError, match="another plane's"):
        read_region(path, slice(1), slice(1), as_it_is | told)


def test_an_index_of_another_identity_than_the_attributes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(), {"plane_id": 7}, "none"))
    decode_plane(path.read_bytes(), "plane")
    with h5py.File(path, "r+") as file:
        file.attrs.modify("plane_id", 8)
    with pytest.raises(DamagedPlaneError, match="another plane than its attributes"):
        decode_plane(path.read_bytes(), "plane")


FORGERIES: dict[str, Callable[[ChunkIndex], ChunkIndex]] = {
    "no table": lambda index: replace(index, table=b""),
    "a table cut short": lambda index: replace(index, table=index.table[:-1]),
    "a huge plane": lambda index: replace(
        index, layout=replace(index.layout, shape=(2**40, 2**40))
    ),
    "a huge chunk": lambda index: replace(
        index, layout=replace(index.layout, chunk=(2**40, 2**40))
    ),
    "chunks of nothing": lambda index: replace(index, layout=replace(index.layout, chunk=(0, 0))),
    "objects": lambda index: replace(index, dtype="object"),
    "chunks beyond the end": lambda index: replace(
        index, table=struct.pack("<3Q", 2**62, 2**62, 0) * (len(index.table) // 24)
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_index_that_is_forged_with_its_checksum_is_refused(tmp_path: Path, forgery: str) -> None:
    path = tmp_path / "plane.h5"
    content = encode_plane(plane(), {}, "none")
    index = ChunkIndex.read(lambda start, size: content[start : start + size])
    true, forged = index.encode(), FORGERIES[forgery](index).encode()
    path.write_bytes(bytes(content).replace(true, forged + bytes(max(0, len(true) - len(forged)))))
    with pytest.raises(DamagedPlaneError):
        read_region(path, slice(1), slice(1), {})
    with pytest.raises(DamagedPlaneError):
        decode_plane(path.read_bytes(), "plane", is_proven=True)


def test_chunks_that_hdf5_finds_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plane.h5"
    path.write_bytes(encode_plane(plane(), {}, "none"))
    with h5py.File(path, "r+") as file:
        index = file["index"][:].tobytes()
        file["array"].id.write_direct_chunk((0, 0), b"shorter, so put elsewhere")
    with pytest.raises(DamagedPlaneError, match="elsewhere than its index says"):
        decode_plane(path.read_bytes(), "plane")
    assert index in path.read_bytes()


def test_a_file_without_an_index_is_named_damaged(tmp_path: Path) -> None:
    path = tmp_path / "plane.h5"
    with h5py.File(path, "w") as file:
        file["array"] = plane()
    with pytest.raises(DamagedPlaneError, match="no index of chunks"):
        read_region(path, slice(1), slice(1), {})


@pytest.mark.parametrize("shape", [(1, 1), (300, 5000), (5120, 5120)])
def test_the_index_is_found_before_whatever_attributes_hold(shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, "uint8")
    true = encode_plane(pixels, {}, "zstd")
    at = ChunkIndex.read(lambda start, size: true[start : start + size])
    decoy = at.encode()[:16].decode("utf-8", "surrogateescape")
    content = encode_plane(pixels, {"source_file": decoy, "plane_id": 7}, "zstd")
    found = ChunkIndex.read(lambda start, size: content[start : start + size])
    assert found.identity == {"plane_id": 7}
    assert found.layout == at.layout


def test_every_bit_of_an_index_counts() -> None:
    content = bytes(encode_plane(plane(shape=(40, 50)), {"plane_id": 7}, "zstd"))
    index = ChunkIndex.read(lambda start, size: content[start : start + size])
    begin = content.index(index.encode())
    for byte in range(begin, begin + len(index.encode())):
        damaged = bytearray(content)
        damaged[byte] ^= 1
        with pytest.raises(DamagedPlaneError):
            decode_plane(bytes(damaged), "plane", is_proven=True)
