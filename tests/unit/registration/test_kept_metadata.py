"""What each microscope tells of its planes is kept: no column stays empty without a reason."""

import re
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest
from imextract.registration.objectives import objective_name, objective_names
from imextract.registration.ome_xml import parse_ome_xml
from imextract.simulation import PlateLayout, simulate
from tests.spelt_plates import manifest_of

PLATE = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, tpoints=2, height=16, width=16)
COLUMNS = {
    "pixel_size_x_um",
    "pixel_size_y_um",
    "pixel_size_z_um",
    "stage_x_um",
    "stage_y_um",
    "stage_z_um",
    "time_stamp_s",
    "exposure_ms",
}
STAGE = {"stage_x_um", "stage_y_um", "stage_z_um"}
# What the vendor writes nowhere that is read.
UNTOLD = {
    "metamorph": STAGE | {"time_stamp_s", "exposure_ms"},
    "scanr": {"stage_z_um", "time_stamp_s"},
    "visiview": STAGE | {"time_stamp_s", "exposure_ms"},
}
OBJECTIVES = {
    "cellvoyager": "20x v2",
    "imagexpress": "20X Plan Apo Lambda",
    "incell": "Nikon 20X/0.45, Plan Fluor",
    "micromanager": "Plan Apo 20x/0.75",
    "ometiff": "20x/0.75",
    "operetta": "20x/0.4",
}
WITHOUT_WAVELENGTHS = {"metamorph", "micromanager", "scanr", "visiview"}
TYPES = sorted(OBJECTIVES | UNTOLD)


@pytest.fixture(params=TYPES)
def told(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Manifest]:
    """The manifest of a simulated plate of each type, and the type's name."""
    simulate(tmp_path / "plate", request.param, PLATE)
    return request.param, manifest_of(tmp_path / "plate")


def test_every_plane_keeps_what_its_microscope_tells(told: tuple[str, Manifest]) -> None:
    name, manifest = told
    for row in manifest.rows():
        empty = {column for column in COLUMNS if getattr(row, column) is None}
        assert empty == UNTOLD.get(name, set())
    assert list(manifest.objectives.values()) == ([OBJECTIVES[name]] if name in OBJECTIVES else [])
    emissions = [channel.emission_nm for channel in manifest.channels.values()]
    assert all(emissions) == (name not in WITHOUT_WAVELENGTHS)


def test_the_text_of_the_metadata_is_kept(told: tuple[str, Manifest]) -> None:
    _, manifest = told
    ((plate, acquisition, data_set),) = manifest.metadata_sets
    assert {(row.site.plate, row.acquisition) for row in manifest.rows()} == {(plate, acquisition)}
    words = re.findall(rb"[A-Za-z]{4,}", (manifest.folder / data_set.entry.path).read_bytes())
    assert len(words) > 20
    assert data_set.metadata_text is not None
    assert {word.decode() for word in words} <= set(
        re.findall("[A-Za-z]{4,}", data_set.metadata_text)
    )


def test_a_set_without_metadata_files_keeps_what_its_images_say(
    shared_data: Path, reader_settings: Settings
) -> None:
    manifest = build_manifest(shared_data / "ome+bioformats", ManifestOptions(), reader_settings)
    assert manifest.metadata_sets == []
    texts = [data_set.metadata_text or "" for data_set in manifest.data_sets]
    assert all("<OME" in text for text in texts)


@pytest.mark.parametrize(
    ("told_of_it", "name"),
    [
        (("Plan Apo", "20", "0.75"), "Plan Apo"),
        ((None, "20", "0.75"), "20x/0.75"),
        (("  ", "20.0", None), "20x"),
        ((None, "63", "0"), "63x"),
        ((None, "0", "0.5"), None),
        ((None, "many", "0.5"), None),
        ((None, None, None), None),
    ],
)
def test_objectives_are_named_by_what_is_told(
    told_of_it: tuple[str | None, str | None, str | None], name: str | None
) -> None:
    assert objective_name(*told_of_it) == name


def test_several_objectives_are_each_named_once() -> None:
    assert objective_names(["10x", None, "20x", "10x"]) == "10x; 20x"
    assert objective_names([None]) is None


def test_ome_names_the_objective_of_each_image() -> None:
    image = '<Image ID="I:{0}"><ObjectiveSettings ID="O:{0}"/><Pixels/></Image>'
    ome = parse_ome_xml(
        '<OME><Instrument><Objective ID="O:0" Model="Plan Apo"/>'
        '<Objective ID="O:1" NominalMagnification="40.0" LensNA="1.3"/></Instrument>'
        f"{''.join(map(image.format, range(3)))}</OME>"
    )
    assert [image.objective for image in ome.images] == ["Plan Apo", "40x/1.3", None]
