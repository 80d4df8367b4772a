"""An IN Cell plate is registered by its .xdce: every plane, and none that is not there."""

import re
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest
from imextract.simulation import Faults, PlateLayout, choose_faulty, simulate
from tests.simulated import check_planes

LAYOUT = PlateLayout(
    wells=2, sites=5, channels=2, zplanes=3, tpoints=2, height=32, width=48, plate="A & <µ>"
)
CHANNELS = ("DAPI", "FITC")
FAULTS = Faults(absent=3, truncated=2, thumbnails=True)
SMALL = PlateLayout(wells=2, sites=2, channels=2, zplanes=1, height=16, width=16)


def _register(folder: Path) -> Manifest:
    return build_manifest(folder, ManifestOptions(), Settings())


@pytest.fixture
def small_plate(tmp_path: Path) -> Path:
    return simulate(tmp_path / "plate", "incell", SMALL).entry


def _edit(index: Path, pattern: str, replacement: str, count: int = 0) -> None:
    text = index.read_bytes().decode("iso-8859-1")
    edited, made = re.subn(pattern, replacement, text, count=count)
    assert made
    index.write_bytes(edited.encode("iso-8859-1"))


def test_every_plane_of_a_plate_is_what_its_pixels_say(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "incell", LAYOUT, FAULTS)

    manifest = _register(tmp_path)

    assert manifest.microscope_type == "incell"
    check_planes(manifest, LAYOUT, CHANNELS, choose_faulty(LAYOUT, FAULTS))
    assert {key.plate for key in manifest.sites} == {"A & <µ>"}
    texts = [problem.text for problem in manifest.problems]
    assert sum("truncated" in text for text in texts) == 2
    assert sum("absent" in text for text in texts) == 3
    assert len(texts) == 5


def test_what_the_index_says_is_kept(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "incell", LAYOUT)

    manifest = _register(tmp_path)

    row = next(row for row in manifest.rows() if row.zplane == 1 and row.tpoint == 1)
    pixel_um = 665.6 / 48
    assert row.pixel_size_y_um == pytest.approx(pixel_um)
    assert row.pixel_size_z_um == pytest.approx(2.0)
    assert (row.stage_x_um, row.stage_y_um) == pytest.approx((-665.6, 16 * pixel_um), abs=1e-3)
    assert (row.stage_z_um, row.exposure_ms) == pytest.approx((139.5, 50.0))
    assert row.time_stamp_s == pytest.approx(600.4)
    assert manifest.channels["FITC"].emission_nm == 525
    ((_, _, data_set),) = manifest.metadata_sets
    assert "IN Cell Analyzer 2000" in str(data_set.metadata_text)
    cells = [(site.y, site.x) for key, site in sorted(manifest.sites.items())]
    assert cells[:5] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1)]


def test_channels_that_share_an_emission_filter_are_told_apart(small_plate: Path) -> None:
    _edit(small_plate, '<EmissionFilter name="[A-Z]+"', '<EmissionFilter name="Cy3"')

    assert list(_register(small_plate.parent).channels) == ["DAPI - Cy3", "FITC - Cy3"]


def test_positions_of_the_protocol_serve_where_images_have_none(small_plate: Path) -> None:
    _edit(small_plate, "<OffsetFromWellCenter[^>]*>", "")

    stages = {row.site.site: row.stage_x_um for row in _register(small_plate.parent).rows()}

    assert stages == {0: pytest.approx(-332.8), 1: pytest.approx(332.8)}


def test_the_time_of_day_begins_with_the_first_image(small_plate: Path) -> None:
    _edit(small_plate, 'acquisition_time_ms="([0-9]+)"', r'timestamp_sec="17\1.5"')

    times = [row.time_stamp_s for row in _register(small_plate.parent).rows()]

    assert min(time for time in times if time is not None) == 0
    assert None not in times
    assert len(set(times)) > 1


def test_a_micro_sign_that_was_damaged_still_means_micrometres(small_plate: Path) -> None:
    _edit(small_plate, 'unit="µm"', 'unit="?m"')

    assert next(iter(_register(small_plate.parent).rows())).pixel_size_x_um == pytest.approx(41.6)


def test_a_plane_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "incell", SMALL, Faults(duplicated=1))

    (error,) = _register(tmp_path).problems

    assert error.severity == "error"
    assert "the same as of" in error.text


def test_an_image_that_the_index_does_not_name_is_left_out_aloud(small_plate: Path) -> None:
    _edit(small_plate, r"(?s)<Image acq.*?</Image>", "", count=1)

    manifest = _register(small_plate.parent)

    texts = [problem.text for problem in manifest.problems]
    assert "declares 8 images, but names 7" in texts[0]
    assert "is not named by" in texts[1]
    assert sum(1 for _ in manifest.rows()) == 7


@pytest.mark.parametrize("name", ["../a.tif", "C:&#92;a.tif", "ftp://host/a.tif"])
def test_names_that_lead_elsewhere_are_errors(small_plate: Path, name: str) -> None:
    _edit(small_plate, 'filename="[^"]*"', f'filename="{name}"', count=1)

    errors = [p.text for p in _register(small_plate.parent).problems if p.severity == "error"]

    assert len(errors) == 1
    assert "not followed" in errors[0]


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ('<Row number="2"/>\n', '<Row number="99"/>\n', "row 99, column"),
        ('field_index="0"', 'field_index="-1"', "field_index of image .* is '-1'"),
        ('z_index="0"', 'z_index="many"', "z_index of image"),
        ("<Identifier[^>]*>", "", "has no field, wave"),
        ("<ImageStack>", '<!DOCTYPE a [<!ENTITY x "y">]><ImageStack>', "document type"),
        ("(?s)<Image acq.*</Image>", "", "names no images"),
        ("ImageStack>", "Other>", "expected an index of an IN Cell"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(
    small_plate: Path, pattern: str, replacement: str, message: str
) -> None:
    _edit(small_plate, pattern, replacement)

    with pytest.raises(RegistrationError, match=message):
        _register(small_plate.parent)


def test_wells_outside_the_plate_are_errors(small_plate: Path) -> None:
    _edit(small_plate, '<Plate columns="12"', '<Plate columns="2"')

    errors = [p.text for p in _register(small_plate.parent).problems if p.severity == "error"]

    assert len(errors) == 1
    assert "outside the plate of 8 rows and 2 columns" in errors[0]


def test_images_are_of_one_index_only(small_plate: Path) -> None:
    other = small_plate.with_name("zz.xdce")
    other.write_bytes(small_plate.read_bytes())

    copied = _register(small_plate.parent)
    other.write_bytes(other.read_bytes() + b"\n")
    twice = _register(small_plate.parent)

    assert len(list(copied.rows())) == SMALL.plane_count
    assert [one.severity for one in copied.problems] == ["warning"]
    assert len(list(twice.rows())) == SMALL.plane_count
    (error,) = [one for one in twice.problems if one.severity == "error"]
    assert error.file == "zz.xdce"
    assert small_plate.name in error.text


def test_two_plates_in_one_folder_share_no_image(small_plate: Path) -> None:
    other = small_plate.with_name("zz.xdce")
    other.write_bytes(small_plate.read_bytes())
    for index, well in ((small_plate, "B - 2("), (other, "B - 3(")):
        _edit(index, rf'(?s)<Image [^>]*filename="{re.escape(well)}.*?</Image>', "")

    manifest = _register(small_plate.parent)

    assert {key.plate for key in manifest.sites} == {small_plate.stem, "zz"}
    assert len({row.source_file for row in manifest.rows()}) == SMALL.plane_count
    assert not [one for one in manifest.problems if one.severity == "error"]
