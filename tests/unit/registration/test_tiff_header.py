"""The fast reading of TIFF headers, against tifffile's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.planes import PIXEL_TYPES
from imextract.registration.tiff_header import read_tiff_header
from tests.support import noise, write_tiff

SHAPE = (6, 8)


@pytest.mark.parametrize("dtype", PIXEL_TYPES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_every_type_and_order_is_read(
    tmp_path: Path, dtype: str, byteorder: str, bigtiff: bool
) -> None:
    path = write_tiff(
        tmp_path / "a.tif", noise(*SHAPE, dtype=dtype), byteorder=byteorder, bigtiff=bigtiff
    )
    header = read_tiff_header(path)
    assert header is not None
    assert (header.structure.shape, header.structure.dtype) == (SHAPE, dtype)
    assert header.structure.plane_count == 1
    assert header.end_of_pixels <= path.stat().st_size


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "zlib"},
        {"compression": "packbits"},
        {"tile": (16, 16)},
        {"rowsperstrip": 1},
        {"predictor": True, "compression": "lzw"},
        {"description": "ImageJ=1.53t\nmin=0\n"},
        {"metadata": {}},
    ],
    ids=str,
)
def test_plain_ways_to_write_are_read(tmp_path: Path, options: dict[str, object]) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(40, 50), **options)
    header = read_tiff_header(path)
    assert header is not None
    assert (header.structure.shape, header.structure.plane_count) == ((40, 50), 1)


def test_pages_are_counted(tmp_path: Path) -> None:
    header = read_tiff_header(write_tiff(tmp_path / "a.tif", noise(5, *SHAPE)))
    assert header is not None
    assert header.structure.plane_count == 5


def test_the_end_of_pixels_tells_a_truncated_file(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(*SHAPE))
    path.write_bytes(path.read_bytes()[:-1])
    header = read_tiff_header(path)
    assert header is not None
    assert header.end_of_pixels == path.stat().st_size + 1


def unlike_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise(6, 8), metadata=None)
        writer.write(noise(6, 9), metadata=None)


UNUSUAL: dict[str, Callable[[Path], object]] = {
    "colours": lambda path: write_tiff(path, noise(6, 8, 3, dtype="uint8"), photometric="rgb"),
    "white is zero": lambda path: write_tiff(path, noise(6, 8), photometric="miniswhite"),
    "an ImageJ stack of one directory": lambda path: write_tiff(
        path, noise(6, 8), description="ImageJ=1.53t\nimages=5\nslices=5\n"
    ),
    "a shape of more": lambda path: write_tiff(
        path, noise(6, 8), description='{"shape": [5, 6, 8]}'
    ),
    "a bit a pixel": lambda path: write_tiff(path, np.ones((6, 8), bool)),
    "JPEG": lambda path: write_tiff(path, noise(16, 16, dtype="uint8"), compression="jpeg"),
    "pages unlike": unlike_pages,
    "text": lambda path: path.write_text("no TIFF"),
    "nothing": lambda path: path.touch(),
    "half a directory": lambda path: path.write_bytes(b"II*\0\x08\0\0\0\x10\0" + b"\0" * 30),
    "a directory that follows itself": lambda path: path.write_bytes(
        write_tiff(path, noise(6, 8)).read_bytes()[:4] + b"\x04\0\0\0" * 20
    ),
}


@pytest.mark.parametrize("how", UNUSUAL)
def test_what_is_not_plain_is_left_to_others(tmp_path: Path, how: str) -> None:
    UNUSUAL[how](tmp_path / "a.tif")
    assert read_tiff_header(tmp_path / "a.tif") is None


def test_a_missing_file_or_a_folder_has_no_header(tmp_path: Path) -> None:
    assert read_tiff_header(tmp_path / "none.tif") is None
    assert read_tiff_header(tmp_path) is None


def test_only_a_file_without_words_of_a_vendor_is_bare(tmp_path: Path) -> None:
    bare = read_tiff_header(write_tiff(tmp_path / "a.tif", noise(*SHAPE)))
    told = read_tiff_header(
        write_tiff(tmp_path / "b.tif", noise(*SHAPE), description="<MetaData></MetaData>")
    )
    tagged = read_tiff_header(
        write_tiff(tmp_path / "c.tif", noise(*SHAPE), extratags=[(51123, 2, 0, "{}", True)])
    )
    assert bare is not None
    assert told is not None
    assert tagged is not None
    assert (bare.is_bare, told.is_bare, tagged.is_bare) == (True, False, False)
