"""Bio-Formats takes a simulated plate for the vendor's, and reads every plane as made."""

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from defusedxml import ElementTree

from imextract.config import Settings
from imextract.planes import PlaneRef, SeriesStructure
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.simulation import (
    PlaneKey,
    PlateLayout,
    SimulatedPlate,
    expected_plane,
    read_stamp,
    simulate,
)

LAYOUT = PlateLayout(
    wells=3, sites=4, channels=2, zplanes=3, tpoints=2, height=40, width=60, seed=7
)
OME = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlate:
    return simulate(tmp_path_factory.mktemp("plates") / "plate", "operetta", LAYOUT)


def test_it_is_a_plate_of_an_operetta_with_a_series_per_site(plate: SimulatedPlate) -> None:
    inspection = inspect_file(plate.entry, Settings())

    expected = SeriesStructure(
        size_x=60, size_y=40, size_z=3, size_c=2, size_t=2, dtype="uint16", dimension_order="XYCZT"
    )
    assert inspection.format_name == "PerkinElmer Operetta"
    assert inspection.structure == (expected,) * 12
    assert {path.name for path in map(Path, inspection.used_files)} >= {
        path.name for path in plate.folder.rglob("*.tiff")
    }


def test_wells_channels_sizes_and_positions_are_as_simulated(plate: SimulatedPlate) -> None:
    ome = ElementTree.fromstring(inspect_file(plate.entry, Settings()).ome_xml)

    wells = [(w.get("Row"), w.get("Column")) for w in ome.iterfind(".//o:Well", OME) if len(w)]
    assert wells == [("1", "1"), ("1", "2"), ("1", "3")]
    channels = [
        c.get("Name") for c in ome.findall(".//o:Image", OME)[0].iterfind(".//o:Channel", OME)
    ]
    assert channels == list(LAYOUT.channel_names)
    pixels = ome.find(".//o:Pixels", OME)
    assert pixels is not None
    size = float(pixels.get("PhysicalSizeX", "nan"))
    assert size == pytest.approx(645.81 / 60)
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    assert _grid(ome, size) == [(-30, 20), (30, 20), (30, -20), (-30, -20)]


def test_every_plane_is_read_as_it_was_made(plate: SimulatedPlate) -> None:
    wells = [key.well for key in LAYOUT.plane_keys() if key.site == key.channel == 0]
    wells = list(dict.fromkeys(wells))

    with BioFormatsReader(plate.entry, Settings()) as reader:
        for series, structure in enumerate(reader.structure):
            well, site = divmod(series, LAYOUT.sites)
            for plane in range(structure.plane_count):
                zplane, channel, tpoint = structure.zct(plane)
                key = PlaneKey(wells[well], site, channel, tpoint, zplane)
                pixels = reader.read_plane(PlaneRef(series, plane))
                assert read_stamp(pixels) == key
                assert np.array_equal(pixels, expected_plane(LAYOUT, key))


def _grid(ome: Element, pixel_size_um: float) -> list[tuple[int, int]]:
    """Positions of the first well's sites in pixels."""
    samples = ome.findall(".//o:Well", OME)[0].findall("o:WellSample", OME)
    return [
        (
            round(float(sample.get("PositionX", "nan")) * 1e6 / pixel_size_um),
            round(float(sample.get("PositionY", "nan")) * 1e6 / pixel_size_um),
        )
        for sample in samples
    ]
