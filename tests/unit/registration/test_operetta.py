"""An Operetta plate is registered by its index: every plane, and none that is not there."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest
from imextract.simulation import Faults, PlateLayout, choose_faulty, simulate
from tests.simulated import check_planes

LAYOUT = PlateLayout(
    wells=2, sites=5, channels=2, zplanes=3, tpoints=2, height=32, width=48, plate="A & <B>"
)
FAULTS = Faults(absent=3, truncated=2, errors=2)
SMALL = PlateLayout(wells=2, sites=2, channels=2, zplanes=1, height=16, width=16)


def _register(folder: Path) -> Manifest:
    return build_manifest(folder, ManifestOptions(), Settings())


@pytest.fixture
def small_plate(tmp_path: Path) -> Path:
    return simulate(tmp_path / "plate", "operetta", SMALL).entry


def _edit(index: Path, pattern: str, replacement: str, count: int = 0) -> None:
    text = index.read_bytes().decode("utf-8-sig")
    edited, made = re.subn(pattern, replacement, text, count=count)
    assert made
    index.write_bytes(edited.encode("utf-8-sig"))


def test_every_plane_of_a_plate_is_what_its_pixels_say(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "operetta", LAYOUT, FAULTS)

    manifest = _register(tmp_path)

    assert manifest.microscope_type == "operetta"
    check_planes(manifest, LAYOUT, LAYOUT.channel_names, choose_faulty(LAYOUT, FAULTS))
    assert {key.plate for key in manifest.sites} == {"A & <B>"}
    severities = Counter(problem.severity for problem in manifest.problems)
    assert severities["error"] == 0
    assert sum("truncated" in problem.text for problem in manifest.problems) == 2
    assert sum("absent" in problem.text for problem in manifest.problems) == 5


def test_images_that_are_named_as_other_planes_are_told(small_plate: Path) -> None:
    swapped = "r02c02f01p01-ch1sk1fk1fl1.tiff", "r02c02f02p01-ch1sk1fk1fl1.tiff"
    for name, other in (swapped[0], "-"), (swapped[1], swapped[0]), ("-", swapped[1]):
        _edit(small_plate, f"<URL>{name}</URL>", f"<URL>{other}</URL>")
    (problem,) = _register(small_plate.parent).problems
    assert problem.text.startswith("2 images are named as other planes than Index.idx.xml tells")


def test_what_the_index_says_is_kept(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "operetta", LAYOUT)

    manifest = _register(tmp_path)

    row = next(row for row in manifest.rows() if row.zplane == 1 and row.site.site == 0)
    pixel_um = 645.81 / 48
    assert row.pixel_size_x_um == pytest.approx(pixel_um)
    assert row.pixel_size_z_um == pytest.approx(2.0)
    assert (row.stage_x_um, row.stage_y_um) == pytest.approx((-48 * pixel_um, 16 * pixel_um))
    assert (row.stage_z_um, row.exposure_ms) == pytest.approx((2.0, 20.0))
    hoechst = manifest.channels["HOECHST 33342"]
    assert (hoechst.excitation_nm, hoechst.emission_nm) == (375, 456)
    ((_, _, data_set),) = manifest.metadata_sets
    assert "<Name>A &amp; &lt;B&gt;</Name>" in str(data_set.metadata_text)
    assert not data_set.entry.holds_pixels


def test_fields_lie_where_the_stage_was_with_y_upwards(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "operetta", LAYOUT)

    sites = _register(tmp_path).sites

    cells = [(site.y, site.x) for key, site in sorted(sites.items()) if key.well == "B02"]
    assert cells == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1)]


def test_the_real_plate_needs_no_java(shared_data: Path) -> None:
    manifest = _register(shared_data / "leukemia-kispi+operetta-compose")

    rows = list(manifest.rows())
    assert [(row.site.well, row.site.site, row.channel) for row in rows] == [
        ("C03", 0, "Fluorescein (FITC)"),
        ("C03", 1, "Fluorescein (FITC)"),
    ]
    assert [str(row.source_file)[-31:] for row in rows] == [
        "/r03c03f01p01-ch1sk1fk1fl1.tiff",
        "/r03c03f02p01-ch1sk1fk1fl1.tiff",
    ]
    assert rows[0].pixel_size_x_um == pytest.approx(1.19595216)
    assert [(site.y, site.x) for site in manifest.sites.values()] == [(0, 0), (0, 1)]
    assert manifest.problems == []


@pytest.mark.parametrize("version", ["V1", "V4", "V6"])
def test_older_and_newer_indices_are_read(small_plate: Path, version: str) -> None:
    _edit(small_plate, "HarmonyV5", f"Harmony{version}")

    check_planes(
        _register(small_plate.parent), SMALL, SMALL.channel_names, choose_faulty(SMALL, Faults())
    )


def test_what_only_the_map_of_channels_says_is_found_there(small_plate: Path) -> None:
    text = small_plate.read_text("utf-8-sig")
    moved = ("ChannelName", "ImageResolutionX", "ImageResolutionY", "ExposureTime")
    entries = ""
    for channel in ("1", "2"):
        image = next(
            part
            for part in text.split("<Image Version")
            if f"<ChannelID>{channel}</ChannelID>" in part
        )
        values = "".join(
            found[0] for name in moved if (found := re.search(f"<{name}.*?</{name}>", image))
        )
        entries += f'<Entry ChannelID="{channel}">{values}</Entry>'
    for name in moved:
        text = re.sub(f"<{name}.*?</{name}>", "", text)
    text = text.replace("<Images>", f"<Maps><Map>{entries}</Map></Maps><Images>")
    text = text.replace(
        "http://www.perkinelmer.com/PEHH/HarmonyV5",
        "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7",
    )
    small_plate.unlink()
    (small_plate.parent / "Index.xml").write_text(text, "utf-8-sig")

    manifest = _register(small_plate.parent)

    check_planes(manifest, SMALL, SMALL.channel_names, choose_faulty(SMALL, Faults()))
    row = next(iter(manifest.rows()))
    assert row.pixel_size_x_um == pytest.approx(645.81 / 16)
    assert row.exposure_ms == pytest.approx(20.0)


def test_a_version_that_is_not_known_is_no_guess(small_plate: Path) -> None:
    _edit(small_plate, "HarmonyV5", "HarmonyV12")

    with pytest.raises(RegistrationError, match="written by Harmony 12, expected at most 7"):
        _register(small_plate.parent)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "http://host/a.tiff"])
def test_names_that_lead_elsewhere_are_errors(small_plate: Path, name: str) -> None:
    _edit(small_plate, "<URL>[^<]*</URL>", f"<URL>{name}</URL>", count=1)

    manifest = _register(small_plate.parent)

    errors = [problem.text for problem in manifest.problems if problem.severity == "error"]
    assert len(errors) == 1
    assert name in errors[0]
    assert len([row for row in manifest.rows() if row.source]) == SMALL.plane_count - 1


def test_an_index_of_which_every_name_leads_elsewhere_says_so(small_plate: Path) -> None:
    _edit(small_plate, "<URL>", "<URL>../")

    with pytest.raises(
        RegistrationError, match=r"no plane that may be read .*'\.\./r02.*leads out of"
    ):
        _register(small_plate.parent)


def test_a_plane_that_was_not_recorded_is_absent(small_plate: Path) -> None:
    _edit(small_plate, "<URL>[^<]*</URL>", "<URL />", count=1)

    manifest = _register(small_plate.parent)

    assert [row.source is None for row in manifest.rows()].count(True) == 1
    assert any("is not named by" in problem.text for problem in manifest.problems)


def test_a_plane_in_a_bad_state_whose_file_is_there_is_doubted_aloud(small_plate: Path) -> None:
    _edit(small_plate, "<State>Ok</State>", "<State>Failed</State>", count=1)

    manifest = _register(small_plate.parent)

    assert [problem.severity for problem in manifest.problems] == ["warning"]
    assert "calls it 'Failed'" in manifest.problems[0].text
    assert all(row.source for row in manifest.rows())


def test_a_plane_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "operetta", SMALL, Faults(duplicated=1))

    manifest = _register(tmp_path)

    (error,) = (problem for problem in manifest.problems if problem.severity == "error")
    assert "the same as of" in error.text


def test_two_channels_of_a_name_stay_two(small_plate: Path) -> None:
    _edit(small_plate, "<ChannelName>[^<]*<", "<ChannelName>DAPI<")

    assert list(_register(small_plate.parent).channels) == ["DAPI", "DAPI_2"]


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("<Row>2</Row>", "<Row>99</Row>", "row 99, column"),
        ("<FieldID>1</FieldID>", "<FieldID>-1</FieldID>", "FieldID of image '.*' is '-1'"),
        ("<PlaneID>1</PlaneID>", "<PlaneID>99999999999</PlaneID>", "PlaneID of image"),
        ("<TimepointID>0</TimepointID>", "", "TimepointID of image '.*' is ''"),
        ("<Images>", "<Images><!DOCTYPE a>", "no well-formed XML"),
        ("(?s)<Images>.*</Images>", "<Images />", "names no images"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(
    small_plate: Path, pattern: str, replacement: str, message: str
) -> None:
    _edit(small_plate, pattern, replacement)

    with pytest.raises(RegistrationError, match=message):
        _register(small_plate.parent)


def test_wells_outside_the_plate_are_errors(small_plate: Path) -> None:
    _edit(small_plate, "<PlateColumns>12<", "<PlateColumns>2<")

    errors = [p.text for p in _register(small_plate.parent).problems if p.severity == "error"]

    assert len(errors) == 1
    assert "2 columns, such as row 2, column 3" in errors[0]


def test_several_plates_in_one_tree_are_each_registered(tmp_path: Path) -> None:
    for name in ("one", "two"):
        layout = PlateLayout(
            wells=1, sites=1, channels=1, zplanes=1, height=16, width=16, plate=name
        )
        simulate(tmp_path / name, "operetta", layout)

    manifest = _register(tmp_path)

    assert {(row.site.plate, str(row.source_file)[:3]) for row in manifest.rows()} == {
        ("one", "one"),
        ("two", "two"),
    }


def test_the_same_measurement_with_two_indices_is_registered_once(small_plate: Path) -> None:
    shutil.copy(small_plate, small_plate.parent / "Index.xml")

    manifest = _register(small_plate.parent)

    assert sum(1 for _ in manifest.rows()) == SMALL.plane_count
    assert manifest.problems == []


def test_an_index_beside_and_one_above_the_images_are_an_error(small_plate: Path) -> None:
    above = small_plate.parent.parent / "Index.xml"
    text = small_plate.read_bytes().decode("utf-8-sig")
    above.write_text(re.sub("<URL>", f"<URL>{small_plate.parent.name}/", text), "utf-8")

    manifest = _register(above.parent)

    (error,) = [one for one in manifest.problems if one.severity == "error"]
    assert "Index.xml" in str(error.file) + error.text
    assert small_plate.name in str(error.file) + error.text
    assert len(list(manifest.rows())) == SMALL.plane_count
