"""Of files that end too early, no plane is given with pixels that are not there."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.bioformats import BioFormatsReader

HEIGHT, WIDTH = 64, 80
GREY = np.random.default_rng(1).integers(1, 4_000, (3, HEIGHT, WIDTH)).astype("uint16")
COLOURS = np.random.default_rng(2).integers(1, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
STACK = [*GREY]
SAMPLES = [*np.moveaxis(COLOURS, 2, 0)]


def nrrd() -> bytes:
    head = f"type: uint16\ndimension: 3\nsizes: {WIDTH} {HEIGHT} 3\nendian: little\nencoding: raw"
    return f"NRRD0004\n{head}\n\n".encode() + GREY.tobytes()


def nifti() -> bytes:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, WIDTH, HEIGHT, 3, 1, 1, 1, 1)
    struct.pack_into("<hh", head, 70, 512, 16)
    struct.pack_into("<9f", head, 76, *[1.0] * 8, 352.0)
    head[344:348] = b"n+1\0"
    return bytes(head) + GREY.tobytes()


def portable_map() -> bytes:
    return f"P6\n{WIDTH} {HEIGHT}\n255\n".encode() + COLOURS.tobytes()


def bitmap() -> bytes:
    """Rows from below, blue first: Bio-Formats turns both round."""
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 54, 40, WIDTH, HEIGHT, 1, 24, *[0] * 6)
    return head + COLOURS[::-1, :, ::-1].tobytes()


FILES = {
    "a.nrrd": (nrrd(), STACK),
    "a.nii": (nifti(), STACK),
    "a.ppm": (portable_map(), SAMPLES),
    "a.bmp": (bitmap(), SAMPLES),
}


def planes_of(path: Path, settings: Settings) -> Iterator[PixelArray | str]:
    with BioFormatsReader(path, settings) as reader:
        for plane in range(3):
            try:
                yield reader.read_plane(PlaneRef(0, plane))
            except SourceFileError as error:
                yield str(error)


@pytest.mark.parametrize("name", FILES)
def test_only_planes_that_are_wholly_there_are_given(
    tmp_path: Path, reader_settings: Settings, name: str
) -> None:
    content, truth = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for found, plane in zip(planes_of(path, reader_settings), truth, strict=True):
        np.testing.assert_array_equal(found, plane)

    path.write_bytes(content[: len(content) * 19 // 20])
    *before, last = planes_of(path, reader_settings)
    assert "a file ends too early" in str(last)
    for found, plane in zip(before, truth, strict=False):
        if not isinstance(found, str):
            np.testing.assert_array_equal(found, plane)
