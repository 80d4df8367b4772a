"""Plain TIFF: every form of it exactly, and nothing that is not there."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PIXEL_TYPES, PixelArray, PlaneRef
from imextract.readers.expected import ExpectedFile
from imextract.readers.registry import open_reader
from imextract.readers.tiff import TiffReader, check_tiff, is_tiff, tiff_planes
from tests.reader_contract import PlaneReaderContract, Sample
from tests.support import noise, write_tiff


def planes(path: Path) -> list[PixelArray]:
    with TiffReader(path) as reader:
        (series,) = reader.structure
        return [reader.read_plane(PlaneRef(0, index)) for index in range(series.plane_count)]


class TestTiffContract(PlaneReaderContract):
    reader_name = "tifffile"

    @pytest.fixture(params=["pages", "contiguous samples", "separate samples"])
    def sample(self, request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
        path = tmp_path / "image.tif"
        pixels = noise(2, 3, 20, 30)
        if request.param == "pages":
            write_tiff(path, pixels.reshape(6, 20, 30), byteorder=">")
        elif request.param == "contiguous samples":
            write_tiff(path, np.moveaxis(pixels, 1, -1), photometric="rgb")
        else:
            write_tiff(path, pixels, photometric="rgb", planarconfig="separate")
        flat = pixels.reshape(6, 20, 30)
        return Sample(path, {PlaneRef(0, index): plane for index, plane in enumerate(flat)})


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_every_pixel_type_is_read_in_native_order(
    tmp_path: Path, dtype: str, byteorder: str
) -> None:
    pixels = noise(17, 23, dtype=dtype)
    path = write_tiff(tmp_path / "image.tif", pixels, byteorder=byteorder)
    (found,) = planes(path)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert found.tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "lzw", "predictor": True, "byteorder": ">"},
        {"compression": "packbits"},
        {"compression": "zstd"},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 3},
        {"bigtiff": True},
        {"bigtiff": True, "byteorder": ">", "rowsperstrip": 7},
    ],
    ids=str,
)
def test_every_form_of_storage_gives_the_same_pixels(
    tmp_path: Path, options: dict[str, object]
) -> None:
    pixels = noise(3, 33, 47)
    path = write_tiff(tmp_path / "image.tif", pixels, **options)
    assert check_tiff(path).plane_count == 3
    np.testing.assert_array_equal(planes(path), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_smallest_images_are_read(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = noise(*shape)
    (found,) = planes(write_tiff(tmp_path / "image.tif", pixels))
    np.testing.assert_array_equal(found, pixels)


def test_many_pages_are_each_themselves(tmp_path: Path) -> None:
    pixels = noise(300, 5, 6)
    np.testing.assert_array_equal(planes(write_tiff(tmp_path / "image.tif", pixels)), pixels)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_cut_anywhere_is_refused(tmp_path: Path, compression: str | None) -> None:
    path = write_tiff(
        tmp_path / "whole.tif", noise(2, 16, 16), rowsperstrip=4, compression=compression
    )
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        segments = [
            offset + size
            for page in tiff.pages
            for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    cut = tmp_path / "cut.tif"
    # After the last pixel there may be padding, which nobody misses.
    for length in range(max(segments)):
        cut.write_bytes(whole[:length])
        with pytest.raises(SourceFileError, match=r"cut\.tif"):
            check_tiff(cut)
        with pytest.raises(SourceFileError, match=r"cut\.tif"):
            TiffReader(cut)


def test_a_cut_tiff_is_told_with_offset_expected_and_got(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "cut.tif", noise(16, 16))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        SourceFileError, match=r"at offset \d+ expected 512 bytes .*, got 412 .*replace"
    ):
        check_tiff(path)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd"])
def test_damaged_compressed_pixels_are_an_error_or_unchanged(
    tmp_path: Path, compression: str
) -> None:
    pixels = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    path = write_tiff(tmp_path / "image.tif", pixels, compression=compression)
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + size // 2] = bytes(size // 2)
    path.write_bytes(content)
    with TiffReader(path) as reader, pytest.raises(SourceFileError, match="cannot be decoded"):
        reader.read_plane(PlaneRef(0, 0))


def edit_tag(path: Path, tag: int, value: int, dtype: str | None = None) -> None:
    """Give the first directory of a TIFF another value of a tag."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[tag].overwrite(value, dtype=dtype)


@pytest.mark.parametrize(("tag", "value"), [(256, 2**30), (257, 2**31 - 1)])
def test_absurd_sizes_are_refused_before_anything_is_allocated(
    tmp_path: Path, tag: int, value: int
) -> None:
    path = write_tiff(tmp_path / "image.tif", noise(70_000, 2), compression="zlib", bigtiff=True)
    edit_tag(path, tag, value, "I")
    with pytest.raises(SourceFileError, match=r"image\.tif"):
        TiffReader(path)


def test_a_strip_that_inflates_beyond_its_rows_is_cut_not_allocated(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(2**30), 9)
    pixels = noise(16, 16)
    path = write_tiff(tmp_path / "bomb.tif", pixels, compression="zlib")
    edit_tag(path, 273, path.stat().st_size)
    edit_tag(path, 279, len(bomb))
    with path.open("ab") as stream:
        stream.write(bomb)
    with TiffReader(path) as reader:
        try:
            found = reader.read_plane(PlaneRef(0, 0))
        except SourceFileError:
            return
        assert found.shape == (16, 16)


def test_a_loop_of_directories_ends(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "loop.tif", noise(2, 16, 16))
    with tifffile.TiffFile(path) as tiff:
        first, second = (page.offset for page in tiff.pages)
    content = bytearray(path.read_bytes())
    count = int.from_bytes(content[second : second + 2], "little")
    after = second + 2 + 12 * count
    content[after : after + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match=r"loop\.tif: at offset \d+ expected a new directory"):
        check_tiff(path)


def test_a_strip_of_no_bytes_is_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "image.tif", noise(16, 16), compression="zlib")
    edit_tag(path, 279, 0)
    with pytest.raises(SourceFileError, match="expected pixels in strip or tile 0 of page 0"):
        check_tiff(path)


def test_too_few_bytes_for_the_size_are_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "image.tif", noise(16, 16))
    edit_tag(path, 279, 100)
    with pytest.raises(SourceFileError, match="expected 512 bytes for page 0, got 100"):
        check_tiff(path)


def test_only_strips_that_hold_just_their_rows_cannot_fail_to_decode(tmp_path: Path) -> None:
    pixels = noise(32, 48)
    plain, tiled, coded, uneven = (tmp_path / f"{name}.tif" for name in "ptcu")
    assert check_tiff(write_tiff(plain, pixels, rowsperstrip=5)).is_plain
    assert not check_tiff(write_tiff(tiled, pixels, tile=(16, 16))).is_plain
    assert not check_tiff(write_tiff(coded, pixels, compression="lzw")).is_plain
    # What one strip lacks, another has too much.
    write_tiff(uneven, pixels, rowsperstrip=16)
    content = uneven.read_bytes()
    sizes = struct.pack("<HH", 16 * 48 * 2, 16 * 48 * 2)
    assert content.count(sizes) == 1
    uneven.write_bytes(
        content.replace(sizes, struct.pack("<HH", 16 * 48 * 2 + 96, 16 * 48 * 2 - 96))
    )
    assert not check_tiff(uneven).is_plain


def test_a_stack_under_one_directory_is_counted_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "imagej.tif"
    description = "ImageJ=1.53t\nimages=5\nframes=5\n"
    write_tiff(path, noise(16, 16), description=description)
    with path.open("ab") as stream:
        stream.write(bytes(4 * 512))
    assert check_tiff(path).plane_count == 5
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceFileError, match="for 5 planes"):
        check_tiff(path)


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise(16, 16), photometric="minisblack")
        writer.write(noise(16, 20), photometric="minisblack")
    with pytest.raises(SourceFileError, match="page 1 differs from page 0"):
        TiffReader(path)
    assert [plane.shape for plane in tiff_planes(path)] == [(16, 16), (16, 20)]


@pytest.mark.parametrize("dtype", ["bool", "uint64", "complex64", "float16"])
def test_types_that_cannot_be_stored_are_refused(tmp_path: Path, dtype: str) -> None:
    path = write_tiff(tmp_path / "image.tif", np.eye(16).astype(dtype))
    with pytest.raises(SourceFileError, match=dtype):
        TiffReader(path)


@pytest.mark.parametrize(
    "content", [b"", b"II", b"II*\0", b"not a TIFF", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\0"]
)
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match=r"image\.tif"):
        TiffReader(path)


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.tif"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        assert not is_tiff(path)
        with pytest.raises(SourceFileError, match=str(path)):
            TiffReader(path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_tiff_is_known_by_its_first_bytes(tmp_path: Path, byteorder: str, bigtiff: bool) -> None:
    path = write_tiff(tmp_path / "image.xyz", noise(4, 4), byteorder=byteorder, bigtiff=bigtiff)
    assert is_tiff(path)


def test_a_file_that_changed_since_registration_is_refused(
    tmp_path: Path, reader_settings: Settings
) -> None:
    path = write_tiff(tmp_path / "image.tif", noise(8, 8))
    expected = ExpectedFile.as_found(path)
    with open_reader("tifffile", path, reader_settings, [expected]) as reader:
        assert reader.read_plane(PlaneRef(0, 0)).shape == (8, 8)
    os.utime(path, ns=(0, 0))
    with pytest.raises(SourceFileError, match="changed since it was registered"):
        open_reader("tifffile", path, reader_settings, [expected])


def test_only_planes_of_a_shape_are_decoded_if_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as tiff:
        for shape in ((16, 16), (16, 20)):
            tiff.write(noise(*shape), compression="lzw", photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    damages: list[str] = []
    (found,) = tiff_planes(path, damages, (16, 20))
    np.testing.assert_array_equal(found, noise(16, 20))
    assert damages == []
    assert list(tiff_planes(path, damages, (16, 16))) == []
    assert "page 0" in damages[0]
