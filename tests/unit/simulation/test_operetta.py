"""A plate's files are named, indexed and encoded as the vendor's."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import tifffile
from defusedxml import ElementTree

from imextract.errors import ConfigError
from imextract.simulation import PlateLayout, SimulatedPlate, expected_plane, simulate
from imextract.simulation.operetta import image_name

LAYOUT = PlateLayout(
    wells=2, sites=3, channels=2, zplanes=2, tpoints=2, height=40, width=60, plate="A & <B>"
)
NAMESPACE = {"h": "http://www.perkinelmer.com/PEHH/HarmonyV5"}


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlate:
    return simulate(tmp_path_factory.mktemp("operetta"), "operetta", LAYOUT)


def test_the_plate_tells_what_was_written(plate: SimulatedPlate) -> None:
    assert plate.planes == LAYOUT.plane_count == len(list(plate.folder.rglob("*.tiff")))
    assert plate.pixel_bytes == LAYOUT.plane_count * 40 * 60 * 2
    assert plate.file_bytes == sum(p.stat().st_size for p in plate.folder.rglob("*.*"))
    assert plate.entry == plate.folder / "Images" / "Index.idx.xml"


def test_every_file_holds_its_plane(plate: SimulatedPlate) -> None:
    for key in LAYOUT.plane_keys():
        pixels = tifffile.imread(plate.entry.parent / image_name(key))
        assert np.array_equal(pixels, expected_plane(LAYOUT, key)), key


def test_files_are_encoded_as_the_vendor_does(plate: SimulatedPlate) -> None:
    name = "r02c03f03p02-ch2sk2fk1fl1.tiff"
    with tifffile.TiffFile(plate.entry.parent / name) as tiff:
        page = tiff.pages.first
        assert (tiff.byteorder, len(tiff.pages)) == ("<", 1)
        assert page.compression == tifffile.COMPRESSION.LZW
        assert len(page.dataoffsets) == 1
        assert page.tags["Make"].value == "PerkinElmer"
        assert "ImageDescription" not in page.tags


def test_the_index_names_every_file_once(plate: SimulatedPlate) -> None:
    index = ElementTree.parse(plate.entry)
    images = index.findall(".//h:Images/h:Image", NAMESPACE)
    urls = [_text(image, "URL") for image in images]
    ids = [_text(image, "id") for image in images]
    of_wells = [e.get("id") for e in index.iterfind(".//h:Wells/h:Well/h:Image", NAMESPACE)]

    assert sorted(urls) == sorted(path.name for path in plate.folder.rglob("*.tiff"))
    assert len(set(ids)) == len(ids)
    assert ids == of_wells
    assert index.findtext(".//h:Plate/h:Name", namespaces=NAMESPACE) == "A & <B>"


def test_the_index_has_the_elements_of_a_real_one(plate: SimulatedPlate, shared_data: Path) -> None:
    real = shared_data / "leukemia-kispi+operetta-compose/operetta_plate/Images/Index.idx.xml"
    instrument_only = {"OrientationMatrix", "Maps", "Map", "Entry", "FlatfieldProfile"}

    assert _tags(plate.entry) | instrument_only == _tags(real) | instrument_only


def test_fields_lie_beside_each_other_and_run_back_and_forth(plate: SimulatedPlate) -> None:
    images = ElementTree.parse(plate.entry).findall(".//h:Images/h:Image", NAMESPACE)
    places = []
    for site in range(3):
        image = next(image for image in images if _text(image, "FieldID") == str(site + 1))
        pixel, x, y = (
            float(_text(image, name)) for name in ("ImageResolutionX", "PositionX", "PositionY")
        )
        places.append((round(x / pixel), round(y / pixel)))

    assert places == [(-30, 20), (30, 20), (30, -20)]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(ConfigError, match="is not empty"):
        simulate(tmp_path, "operetta", LAYOUT)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unknown_microscope_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("'hubble' cannot be simulated")):
        simulate(tmp_path / "plate", "hubble", LAYOUT)

    assert not (tmp_path / "plate").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="cannot be written"):
        simulate(tmp_path / "file" / "plate", "operetta", LAYOUT)


def test_an_interrupted_plate_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    # A full disk cannot be had without being root.
    monkeypatch.setattr(tifffile, "imwrite", full_disk)

    with pytest.raises(ConfigError, match="No space left on device"):
        simulate(tmp_path, "operetta", LAYOUT)
    assert not list(tmp_path.rglob("Index.idx.xml"))


def _text(element: Element, name: str) -> str:
    text = element.findtext(f"h:{name}", namespaces=NAMESPACE)
    assert text is not None
    return text


def _tags(index: Path) -> set[str]:
    return {element.tag.rpartition("}")[2] for element in ElementTree.parse(index).iter()}
