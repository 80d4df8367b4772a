"""A simulated ImageXpress plate has the files and the tags of a real one."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.errors import ConfigError
from imextract.simulation import Faults, PlaneKey, PlateLayout, expected_plane, simulate
from imextract.simulation.imagexpress import image_path

LAYOUT = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, height=48, width=64, plate="P")


def test_every_file_holds_its_plane(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)

    for key in LAYOUT.plane_keys():
        pixels = tifffile.imread(tmp_path / image_path(LAYOUT, key))
        assert np.array_equal(pixels, expected_plane(LAYOUT, key)), key


def test_a_stack_has_its_projection_beside_it(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)

    projection = tifffile.imread(tmp_path / "TimePoint_1/ZStep_0/P_B02_s1_w1.TIF")

    planes = [expected_plane(LAYOUT, PlaneKey("B02", 0, 0, 0, zplane)) for zplane in (0, 1)]
    assert np.array_equal(projection, np.maximum(*planes))


def test_files_have_the_tags_of_a_real_one(tmp_path: Path, shared_data: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)
    folder = shared_data / "fmi-faim+faim-ipa/9987_Plate_3434/TimePoint_1/ZStep_1"
    ours, real = (
        _tags(path)
        for path in (
            tmp_path / "TimePoint_1/ZStep_1/P_B02_s1_w1.TIF",
            folder / "9987_B02_s1_w1.TIF",
        )
    )

    for name in ("NewSubfileType", "Compression", "RowsPerStrip", "Software", "BitsPerSample"):
        assert ours[name] == real[name]


def _tags(path: Path) -> dict[str, object]:
    with tifffile.TiffFile(path) as tiff:
        return {tag.name: tag.value for tag in tiff.pages.first.tags}


def test_the_htd_has_the_keys_of_a_real_one(tmp_path: Path, shared_data: Path) -> None:
    entry = simulate(tmp_path, "imagexpress", LAYOUT).entry
    real = shared_data / "fmi-faim+faim-ipa/9987_Plate_3434/9987.HTD"

    keys = [_keys(path) for path in (entry, real)]

    assert keys[1] - keys[0] == {"UniquePlateIdentifier"}
    assert keys[0] <= keys[1]


def _keys(path: Path) -> set[str]:
    lines = path.read_text("latin-1").splitlines()
    return {line.partition(",")[0].strip('"').rstrip("0123456789") for line in lines}


def test_faults_that_it_cannot_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="errors"):
        simulate(tmp_path, "imagexpress", LAYOUT, Faults(errors=1))


def test_faults_are_on_disk(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT, Faults(absent=1, duplicated=1, thumbnails=True))

    assert len(list(tmp_path.rglob("ZStep_[12]/*_w?.TIF"))) == LAYOUT.plane_count - 1
    assert len(list(tmp_path.rglob("*.tif"))) == 1
    assert len(list(tmp_path.rglob("*_Thumb.TIF"))) == LAYOUT.plane_count - 1
