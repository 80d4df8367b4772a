"""A reader of our own is taken for a file only where Bio-Formats reads it alike."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.damages import flip
from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.bioformats import inspect_file
from imextract.readers.czi import CziReader
from imextract.readers.registry import READERS, choose_reader, open_reader
from tests.czi_file import Block, write_czi
from tests.support import noise


@pytest.fixture
def czi_file(tmp_path: Path) -> Path:
    """Three z-planes at two times."""
    pixels = noise(2, 3, 20, 30)
    places = np.ndindex(2, 3)
    blocks = [Block(pixels[t, z], {"Z": z, "C": 0, "T": t, "S": 0}) for t, z in places]
    return write_czi(tmp_path / "image.czi", blocks)


def chosen(path: Path, settings: Settings, log: pytest.LogCaptureFixture) -> tuple[str, str]:
    with log.at_level(logging.INFO, logger="imextract.readers.registry"):
        name = choose_reader(inspect_file(path, settings), settings)
    return name, log.text


def test_the_reader_that_agrees_is_chosen_and_gives_the_same_planes(
    czi_file: Path, reader_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(czi_file, reader_settings, caplog) == ("czi", "")
    with (
        open_reader("czi", czi_file, reader_settings) as ours,
        open_reader("bioformats", czi_file, reader_settings) as theirs,
    ):
        for plane in range(6):
            ref = PlaneRef(0, plane)
            np.testing.assert_array_equal(ours.read_plane(ref), theirs.read_plane(ref))


class OneBitOff(CziReader):
    """Gets one bit of one plane wrong."""

    wrong = PlaneRef(0, 3)

    def _decode(self, ref: PlaneRef) -> PixelArray:
        pixels = super()._decode(ref).copy()
        if ref == self.wrong:
            pixels.view(np.uint16)[-1, -1] ^= 1
        return pixels


class TimeBeforeDepth(CziReader):
    """Counts planes in another order."""

    def _decode(self, ref: PlaneRef) -> PixelArray:
        tpoint, zplane = ref.plane % 2, ref.plane // 2
        return super()._decode(PlaneRef(0, tpoint * 3 + zplane))


@pytest.mark.parametrize(
    ("reader", "difference"),
    [(OneBitOff, "series 0, plane 3"), (TimeBeforeDepth, "series 0, plane 1")],
)
def test_a_difference_leaves_the_file_to_bioformats_and_is_logged(
    czi_file: Path,
    reader: type[CziReader],
    difference: str,
    reader_settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(READERS, "czi", reader)
    name, log = chosen(czi_file, reader_settings, caplog)
    assert name == "bioformats"
    assert str(czi_file) in log
    assert f"other pixels in {difference}" in log


def test_what_a_reader_refuses_is_left_to_bioformats_and_logged(
    tmp_path: Path, reader_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = [Block(noise(20, 30), {"C": 0, "S": 0, "M": tile}) for tile in (0, 1)]
    path = write_czi(tmp_path / "mosaic.czi", tiles)
    name, log = chosen(path, reader_settings, caplog)
    assert name == "bioformats"
    assert "as of a mosaic" in log


def test_what_only_a_more_lenient_decoder_reads_is_left_to_bioformats_to_refuse(
    shared_data: Path, tmp_path: Path, reader_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shared_data / "sebi06+czitools/newCZI_compressed"
    path = tmp_path / "flipped.czi"
    shutil.copyfile(folder / "newCZI_compressed.czi", path)
    # One bit of Zstd without a checksum: of 262,144 pixels it changes 38,185.
    flip(path, np.random.default_rng([0, 1]))
    name, log = chosen(path, reader_settings, caplog)
    assert name == "bioformats"
    assert "Bio-Formats refuses series 0, plane 0" in log
    with (
        open_reader(name, path, reader_settings) as reader,
        pytest.raises(SourceFileError, match="Malformed"),
    ):
        reader.read_plane(PlaneRef(0, 0))
