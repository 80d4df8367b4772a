"""A simulated CellVoyager plate has the files and records of a real one."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import tifffile
from defusedxml import ElementTree

from imextract.errors import ConfigError
from imextract.simulation import Faults, PlateLayout, expected_plane, simulate
from imextract.simulation.cellvoyager import image_name

LAYOUT = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, height=48, width=64, plate="A & B")
REAL = "fmi-faim+faim-ipa/CV8000"


def test_every_file_holds_its_plane(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)

    for key in LAYOUT.plane_keys():
        pixels = tifffile.imread(tmp_path / image_name(LAYOUT, key))
        assert np.array_equal(pixels, expected_plane(LAYOUT, key)), key


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("MeasurementData.mlf", "MeasurementRecord"),
        ("MeasurementDetail.mrf", "MeasurementChannel"),
        ("*.mes", "Channel"),
        ("*.mes", "ActionAcquire3D"),
    ],
)
def test_metadata_tell_what_a_real_one_tells(
    tmp_path: Path, shared_data: Path, name: str, element: str
) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)
    (real,) = (shared_data / REAL).rglob(name)
    (ours,) = tmp_path.glob(name)

    expected, got = (set(_first(path, element).attrib) for path in (real, ours))

    # Of the camera's full frame nothing is read.
    unread = {"ObjectiveMagnificationRatio", "OriginalHorizontalPixels", "OriginalVerticalPixels"}
    assert {re.sub("{.*}", "", key) for key in expected - got} <= unread
    assert got <= expected


def _first(path: Path, element: str) -> Element:
    tree = ElementTree.parse(path).iter()
    return next(one for one in tree if one.tag.endswith(f"}}{element}"))


def test_failures_are_recorded_and_not_written(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT, Faults(errors=2)).entry

    assert entry.read_text().count('Type="ERR"') == 2
    assert len(list(tmp_path.glob("A & B_*.tif"))) == LAYOUT.plane_count - 2


def test_faults_that_it_cannot_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="thumbnails"):
        simulate(tmp_path, "cellvoyager", LAYOUT, Faults(thumbnails=True))
