"""A ScanR plate is registered by the names of its images and what its descriptor declares."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.files import find_files
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes import scanr
from imextract.simulation import Faults, PlateLayout, choose_faulty, simulate
from tests.simulated import check_planes
from tests.support import noise, write_tiff

LAYOUT = PlateLayout(
    wells=2, sites=5, channels=2, zplanes=3, tpoints=2, height=32, width=48, plate="A & <µ>"
)
FAULTS = Faults(absent=3, truncated=2)
SMALL = PlateLayout(wells=2, sites=2, channels=2, zplanes=1, height=16, width=16)


def _register(folder: Path) -> Manifest:
    return build_manifest(folder, ManifestOptions(), Settings())


def _images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_tiff(folder / f"{name}.tif", noise(16, 16))
    return folder


def _texts(manifest: Manifest, severity: str) -> list[str]:
    return [problem.text for problem in manifest.problems if problem.severity == severity]


@pytest.fixture
def small_plate(tmp_path: Path) -> Path:
    return simulate(tmp_path / "plate", "scanr", SMALL).entry


def _edit(descriptor: Path, pattern: str, replacement: str, count: int = 0) -> None:
    text = descriptor.read_bytes().decode("iso-8859-1")
    edited, made = re.subn(pattern, replacement, text, count=count)
    assert made
    descriptor.write_bytes(edited.encode("iso-8859-1"))


def test_every_plane_of_a_plate_is_what_its_pixels_say(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "scanr", LAYOUT, FAULTS)

    manifest = _register(tmp_path)

    assert manifest.microscope_type == "scanr"
    check_planes(manifest, LAYOUT, LAYOUT.channel_names, choose_faulty(LAYOUT, FAULTS))
    assert {key.plate for key in manifest.sites} == {"A & <µ>"}
    assert _texts(manifest, "error") == []
    warnings = _texts(manifest, "warning")
    assert sum("truncated" in text for text in warnings) == 2
    assert sum("absent" in text for text in warnings) == 3
    assert len(warnings) == 5


def test_what_the_descriptor_says_is_kept(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "scanr", LAYOUT)

    manifest = _register(tmp_path)

    row = next(iter(manifest.rows()))
    assert row.pixel_size_x_um == pytest.approx(866.816 / 48)
    assert (row.pixel_size_z_um, row.exposure_ms) == pytest.approx((2.0, 80.0))
    assert row.stage_x_um == pytest.approx(-866.816)
    cells = [(site.y, site.x) for _, site in sorted(manifest.sites.items())]
    assert cells[:5] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1)]
    ((_, _, data_set),) = manifest.metadata_sets
    assert "subposition list" in str(data_set.metadata_text)
    assert [file.path for file in data_set.companions] == ["plate/AcquisitionLog.dat"]


def test_the_real_image_without_a_descriptor_is_of_the_first_well(shared_data: Path) -> None:
    manifest = _register(shared_data / "CellProfiler+examples" / "ExampleIlluminationCorrection")

    (row,) = manifest.rows()
    assert manifest.microscope_type == "scanr"
    assert (row.site.well, row.site.site, row.channel) == ("A01", 0, "cherry")
    assert (row.height, row.width, row.dtype) == (1024, 1344, "uint16")
    assert manifest.problems == []


def test_names_alone_tell_the_plane(tmp_path: Path) -> None:
    folder = _images(
        tmp_path / "plate 7" / "data",
        "B2--W00014--P00001--Z00000--T00000--DAPI",
        "B2--W00014--P00002--Z00000--T00003--GFP--long",
    )

    manifest = _register(folder.parent)

    assert {
        (row.site.plate, row.site.well, row.site.site, row.channel, row.tpoint)
        for row in manifest.rows()
    } == {("plate 7", "B02", 0, "DAPI", 0), ("plate 7", "B02", 1, "GFP--long", 1)}


@pytest.mark.parametrize(
    ("number", "plate", "well"),
    [(14, "8 rows of 12", "B02"), (97, "16 rows of 24", "E01"), (1536, "32 rows of 48", "AF48")],
)
def test_a_plate_that_nothing_tells_is_taken_aloud(
    tmp_path: Path, number: int, plate: str, well: str
) -> None:
    _images(tmp_path, f"--W{number:05d}--P00001--Z00000--T00000--DAPI")

    manifest = _register(tmp_path)

    assert [key.well for key in manifest.sites] == [well]
    (warning,) = _texts(manifest, "warning")
    assert plate in warning


def test_the_plate_of_the_descriptor_counts_its_wells(small_plate: Path) -> None:
    _edit(small_plate, "<Val>B[23]</Val>", "<Val></Val>")
    _edit(small_plate, "(?s)(<Name>Columns</Name>.<Val>)12", r"\g<1>7")
    for image in list(small_plate.parent.rglob("*.tif")):
        image.rename(image.with_name(image.name[2:]))

    manifest = _register(small_plate.parent)

    assert {key.well for key in manifest.sites} == {"B07", "C01"}
    assert manifest.problems == []


def test_labels_of_the_descriptor_name_wells_that_images_do_not(small_plate: Path) -> None:
    _edit(small_plate, "<Val>B2</Val>", "<Val>H12</Val>")
    for image in list(small_plate.parent.rglob("B2--*.tif")):
        image.rename(image.with_name(image.name[2:]))

    assert {key.well for key in _register(small_plate.parent).sites} == {"H12", "B03"}


def test_names_that_contradict_the_descriptor_are_errors(small_plate: Path) -> None:
    _edit(small_plate, "<Val>B2</Val>", "<Val>H12</Val>")

    assert _texts(_register(small_plate.parent), "error") == [
        "well 14 is called B02 and H12: rename its images"
    ]


def test_two_wells_of_one_name_are_errors(tmp_path: Path) -> None:
    _images(
        tmp_path,
        "A1--W00001--P00001--Z00000--T00000--DAPI",
        "A1--W00002--P00002--Z00000--T00000--DAPI",
    )

    (error,) = _texts(_register(tmp_path), "error")

    assert "wells 1 and 2 are both called A01" in error


def test_a_well_of_number_zero_is_none(tmp_path: Path) -> None:
    _images(tmp_path, "--W00000--P00001--Z00000--T00000--DAPI")

    (error,) = _texts(_register(tmp_path), "error")

    assert "W00000" in error


def test_a_well_that_was_selected_but_not_imaged_is_told(small_plate: Path) -> None:
    for image in small_plate.parent.rglob("B3--*.tif"):
        image.unlink()

    manifest = _register(small_plate.parent)

    assert {key.well for key in manifest.sites} == {"B02"}
    assert _texts(manifest, "warning") == [
        "1 wells were selected, but have no images, such as well 15 (B03)"
    ]


def test_a_channel_that_was_never_written_is_absent(small_plate: Path) -> None:
    for image in small_plate.parent.rglob("*Alexa 488.tif"):
        image.unlink()

    rows = list(_register(small_plate.parent).rows())

    assert {(row.channel, row.source is None) for row in rows} == {
        ("HOECHST 33342", False),
        ("Alexa 488", True),
    }


def test_channels_that_names_spell_otherwise_are_not_absent(small_plate: Path) -> None:
    for image in list(small_plate.parent.rglob("*Alexa 488.tif")):
        image.rename(image.with_name(image.name.replace("Alexa 488", "Alexa_488")))

    manifest = _register(small_plate.parent)

    assert all(row.source for row in manifest.rows())
    assert set(manifest.channels) == {"HOECHST 33342", "Alexa_488"}


def test_a_plane_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "scanr", SMALL, Faults(duplicated=1))

    (error,) = _texts(_register(tmp_path), "error")

    assert "the same as of" in error


def test_an_image_of_another_name_is_left_out_aloud(small_plate: Path) -> None:
    first = next(iter(small_plate.parent.rglob("*.tif")))
    shutil.copy(first, first.with_name("overview.tif"))

    manifest = _register(small_plate.parent)

    (warning,) = manifest.problems
    assert warning.file == "data/overview.tif"
    assert "is not named by" in warning.text


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        ("(?s)(# slices</Name>.<Val>)1", r"\1-3", "'# slices' is '-3'"),
        ("(?s)(timeloop real</Name>.<Val>)1", r"\g<1>9999999", "'timeloop real' is '9999999'"),
        ("(?s)(timeloop real</Name>.<Val>)1", r"\g<1>nan", "'timeloop real' is"),
        ("<LVData>", "<!DOCTYPE a><LVData>", "document type"),
        ("</LVData>", "", "no well-formed XML"),
    ],
)
def test_a_descriptor_that_makes_no_sense_is_refused(
    small_plate: Path, pattern: str, replacement: str, message: str
) -> None:
    _edit(small_plate, pattern, replacement)

    with pytest.raises(RegistrationError, match=message):
        _register(small_plate.parent)


def test_absurd_declarations_end_before_they_begin(small_plate: Path) -> None:
    for name in ("# slices", "timeloop real"):
        _edit(small_plate, f"(?s)({name}</Name>.<Val>)1", r"\g<1>10000")

    with pytest.raises(RegistrationError, match="declares 800000000 planes, expected at most"):
        _register(small_plate.parent)


def test_an_old_descriptor_without_encoding_is_read(small_plate: Path) -> None:
    _edit(small_plate, "<Val>Simulated</Val>", "<Val>Plätte</Val>")

    assert {key.plate for key in _register(small_plate.parent).sites} == {"Plätte"}


def test_several_plates_in_one_tree_are_each_registered(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _images(tmp_path / name / "data", "--W00001--P00001--Z00000--T00000--DAPI")

    assert {(row.site.plate, row.source_file) for row in _register(tmp_path).rows()} == {
        ("one", "one/data/--W00001--P00001--Z00000--T00000--DAPI.tif"),
        ("two", "two/data/--W00001--P00001--Z00000--T00000--DAPI.tif"),
    }


def test_names_alone_do_not_claim_files_of_several_pages(tmp_path: Path) -> None:
    name = "A1--W00001--P00001--Z00000--T00000--DAPI.tif"
    pages = np.stack([noise(16, 16, seed=one) for one in range(3)])
    tifffile.imwrite(tmp_path / name, pages, photometric="minisblack")
    found = find_files(tmp_path)

    assert scanr.claim(found) == []
    assert [problem.file for problem in found.problems] == [name]
    assert "holds 3 planes" in found.problems[0].text
