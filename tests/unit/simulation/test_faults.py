"""Faults are as many as asked for, each in another plane, the same every time."""

from pathlib import Path

import pytest
import tifffile

from imextract.cli.main import main
from imextract.errors import ConfigError, SourceFileError
from imextract.readers.tiff import TiffReader
from imextract.simulation import Faults, PlateLayout, choose_faulty, simulate
from imextract.simulation.faults import refuse_faults, thumbnail
from imextract.simulation.operetta import image_name
from imextract.simulation.pixels import expected_plane

LAYOUT = PlateLayout(wells=2, sites=2, channels=2, zplanes=2, height=48, width=64)
FAULTS = Faults(absent=3, truncated=2, duplicated=1, errors=4)


def test_each_fault_has_planes_of_its_own() -> None:
    faulty = choose_faulty(LAYOUT, FAULTS)

    sets = [faulty.absent, faulty.truncated, faulty.duplicated, faulty.errors]
    assert [len(keys) for keys in sets] == [3, 2, 1, 4]
    assert len(frozenset().union(*sets)) == 10
    assert faulty == choose_faulty(LAYOUT, FAULTS)


def test_more_faults_than_planes_are_refused() -> None:
    with pytest.raises(ConfigError, match="17 planes faulty, but the plate has 16"):
        choose_faulty(LAYOUT, Faults(absent=17))


def test_a_negative_number_of_faults_is_refused() -> None:
    with pytest.raises(ConfigError, match="truncated is -1"):
        Faults(truncated=-1)


def test_faults_that_a_microscope_cannot_have_are_refused() -> None:
    refuse_faults("hubble", Faults(absent=1), "absent")
    with pytest.raises(ConfigError, match="'hubble' cannot be simulated with thumbnails"):
        refuse_faults("hubble", Faults(thumbnails=True), "absent")


def test_the_files_of_a_plate_are_faulty_as_chosen(tmp_path: Path) -> None:
    plate = simulate(tmp_path / "plate", "operetta", LAYOUT, FAULTS)

    faulty = choose_faulty(LAYOUT, FAULTS)
    images = plate.entry.parent
    missing = {key for key in LAYOUT.plane_keys() if not (images / image_name(key)).exists()}
    assert missing == faulty.absent | faulty.errors
    for key in faulty.truncated:
        with pytest.raises(SourceFileError):
            TiffReader(images / image_name(key))
    index = plate.entry.read_text("utf-8-sig")
    assert index.count("<URL>") == LAYOUT.plane_count + 1
    assert index.count("<State>Failed</State>") == 4
    assert len(list(images.glob("*fk2*"))) == 1


def test_a_truncated_file_keeps_its_header(tmp_path: Path) -> None:
    plate = simulate(tmp_path / "plate", "operetta", LAYOUT, Faults(truncated=1))

    (key,) = choose_faulty(LAYOUT, Faults(truncated=1)).truncated
    with tifffile.TiffFile(plate.entry.parent / image_name(key)) as tiff:
        assert tiff.pages.first.shape == (48, 64)


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    key = next(LAYOUT.plane_keys())

    assert thumbnail(expected_plane(LAYOUT, key)).shape == (6, 8)


def test_faults_can_be_asked_for_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--wells", "1", "--sites", "2", "--height", "16", "--width", "16"]
    asked = ["--absent", "2", "--truncated", "1", "--duplicated", "1", "--thumbnails"]

    code = main(["simulate", str(tmp_path / "plate"), "--microscope", "incell", *sizes, *asked])

    assert code == 0, capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.tif"))) == 12 - 2 + 1
    assert len(list(tmp_path.rglob("*_thumb.jpg"))) == 12


def test_faults_that_cannot_be_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["simulate", str(tmp_path / "plate"), "--microscope", "scanr", "--errors", "1"])

    assert code == 1
    assert "cannot be simulated with errors" in capsys.readouterr().err
