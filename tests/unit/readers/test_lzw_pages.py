"""Pages coded by LZW become the pixels that were coded, or an error."""

import io
from typing import Any

import numpy as np
import pytest
from tifffile import TiffFile, TiffWriter

from imextract.planes import PixelArray
from imextract.readers.lzw_pages import decode_lzw, is_plain_lzw

LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (32, 48)},
    "differences": {"predictor": True},
    "differences in tiles": {"predictor": True, "tile": (32, 48)},
    "bright is low": {"photometric": "miniswhite"},
}


def noise(dtype: str, *shape: int) -> PixelArray:
    return np.random.default_rng(0).normal(100, 30, shape).astype(dtype)


def coded(pixels: PixelArray, *, byteorder: str = "<", big: bool = False, **layout: Any) -> bytes:
    stream = io.BytesIO()
    with TiffWriter(stream, byteorder=byteorder, bigtiff=big) as writer:  # type: ignore[arg-type]
        writer.write(pixels, compression="lzw", **layout)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_page_is_what_was_coded(dtype: str, byteorder: str, layout: str) -> None:
    pixels = noise(dtype, 131, 97)
    content = coded(pixels, byteorder=byteorder, **LAYOUTS[layout])
    with TiffFile(io.BytesIO(content)) as tiff:
        assert is_plain_lzw(tiff.pages.first)
        found = decode_lzw(tiff.pages.first)
    np.testing.assert_array_equal(found, pixels)
    assert found.dtype == pixels.dtype


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{}, {"tile": (32, 48)}, {"predictor": True}])
def test_samples_lie_as_tifffile_gives_them(planar: str, layout: dict[str, Any]) -> None:
    shape = (131, 97, 3) if planar == "contig" else (3, 131, 97)
    pixels = noise("uint16", *shape)
    content = coded(pixels, photometric="rgb", planarconfig=planar, **layout)
    with TiffFile(io.BytesIO(content)) as tiff:
        found = decode_lzw(tiff.pages.first)
        np.testing.assert_array_equal(found, tiff.pages.first.asarray())


def test_the_second_page_of_a_big_tiff_is_its_own() -> None:
    planes = [noise("uint16", 40, 50), noise("uint16", 40, 50)[::-1]]
    stream = io.BytesIO()
    with TiffWriter(stream, bigtiff=True) as writer:
        for pixels in planes:
            writer.write(pixels, compression="lzw")
    stream.seek(0)
    with TiffFile(stream, _useframes=False) as tiff:
        for page, pixels in zip(tiff.pages, planes, strict=True):
            np.testing.assert_array_equal(decode_lzw(page), pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", [1, 2, 3, 100])
def test_a_strip_that_ends_too_early_gives_no_wrong_pixel(lost: int) -> None:
    for seed in range(30):
        size = np.random.default_rng(seed).integers(20, 90, 2)
        pixels = noise("uint16", *size)
        with TiffFile(io.BytesIO(coded(pixels))) as tiff:
            page = tiff.pages.first
            page.databytecounts = (page.databytecounts[0] - lost,)
            try:
                found = decode_lzw(page)
            except RuntimeError:
                continue
        # The code of the end may be what is lost.
        np.testing.assert_array_equal(found, pixels)


def test_a_page_whose_bytes_are_not_there_is_damaged() -> None:
    with TiffFile(io.BytesIO(coded(noise("uint16", 60, 60)))) as tiff:
        page = tiff.pages.first
        page.databytecounts = (page.databytecounts[0] + 10_000,)
        with pytest.raises(RuntimeError, match="bytes expected at"):
            decode_lzw(page)


def test_strips_far_apart_are_for_tifffile() -> None:
    with TiffFile(io.BytesIO(coded(noise("uint16", 60, 60), rowsperstrip=30))) as tiff:
        page = tiff.pages.first
        page.dataoffsets = (page.dataoffsets[0], page.dataoffsets[1] + 2**20)
        assert not is_plain_lzw(page)
