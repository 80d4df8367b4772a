"""Manifests made of lists of planes, each in a file of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.registration.manifest import Manifest, SiteKey
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile
from tests.planes_of_files import SHAPE, manifest, planes, write
from tests.support import noise, write_tiff


def told(made: Manifest) -> dict[str | None, str]:
    return {problem.file: f"{problem.severity}: {problem.text}" for problem in made.problems}


@pytest.fixture
def listed(tmp_path: Path) -> list[PlaneFile]:
    """Planes whose files are all in `tmp_path`."""
    every = list(planes())
    for plane in every:
        write(tmp_path, plane)
    return every


def test_every_plane_is_told_as_it_was_listed(tmp_path: Path, listed: list[PlaneFile]) -> None:
    made = manifest(tmp_path, listed)
    rows = list(made.rows())
    assert made.problems == []
    assert {(row.site, row.channel, row.tpoint, row.zplane, row.source_file) for row in rows} == {
        (plane.site_key, plane.channel, plane.tpoint, plane.zplane, plane.path) for plane in listed
    }
    assert {(row.height, row.width, row.dtype) for row in rows} == {(*SHAPE, "uint16")}
    assert {row.ref for row in rows} == {PlaneRef(0, 0)}
    assert {one.reader for one in made.data_sets} == {"tifffile"}
    # In the order of the channels as given, within each site.
    assert [row.channel for row in rows[:4]] == ["C1", "C1", "C0", "C0"]
    assert made.channels["C1"].emission_nm == 525.0
    assert {(key.site, site.x) for key, site in made.sites.items()} == {(0, 0), (1, 1)}


def test_planes_that_are_declared_but_not_there_are_absent(
    tmp_path: Path, listed: list[PlaneFile]
) -> None:
    (tmp_path / "A01_s0_c0_z1_t0.tif").unlink()
    extra = PlaneFile("P", "C03", 0, "C0", 0, 0, None)
    made = manifest(tmp_path, [*listed, extra])
    absent = [row for row in made.rows() if row.source is None]
    assert [(row.site.well, row.zplane, row.source_file, row.ref) for row in absent] == [
        ("A01", 1, None, None),
        ("C03", 0, None, None),
    ]
    # Of the shape of their neighbours, so that they have a place in the ledger.
    assert {(row.height, row.width, row.dtype) for row in absent} == {(*SHAPE, "uint16")}
    assert "A01_s0_c0_z1_t0.tif" in told(made)
    assert len(made.data_sets) == len(listed) - 1


def test_a_file_that_is_named_for_two_planes_is_an_error(
    tmp_path: Path, listed: list[PlaneFile]
) -> None:
    first, second, *others = listed
    made = manifest(tmp_path, [first, replace(second, path=first.path), *others])
    assert told(made)[first.path].startswith("error: is named 1 times more than it holds planes")


@pytest.mark.parametrize("content", [b"", b"no TIFF at all", b"II*\0" + b"\xff" * 40])
def test_a_file_whose_header_cannot_be_read_makes_its_plane_absent(
    tmp_path: Path, listed: list[PlaneFile], content: bytes
) -> None:
    (tmp_path / "A01_s0_c0_z0_t0.tif").write_bytes(content)
    made = manifest(tmp_path, listed)
    assert [row.site.well for row in made.rows() if row.source is None] == ["A01"]
    assert told(made)["A01_s0_c0_z0_t0.tif"].startswith("warning")


def test_a_truncated_file_is_planned_and_named(tmp_path: Path, listed: list[PlaneFile]) -> None:
    path = write_tiff(tmp_path / "A01_s0_c0_z0_t0.tif", noise(*SHAPE))
    path.write_bytes(path.read_bytes()[:-20])
    made = manifest(tmp_path, listed)
    assert all(row.source is not None for row in made.rows())
    assert "truncated" in told(made)[path.name]


def test_pages_of_a_file_are_planes(tmp_path: Path) -> None:
    write_tiff(tmp_path / "stack.tif", noise(3, *SHAPE))
    every = [PlaneFile("P", "A01", 0, "C0", 0, z, "stack.tif", z) for z in range(4)]
    made = manifest(tmp_path, every)
    assert [row.ref for row in made.rows()] == [
        PlaneRef(0, 0),
        PlaneRef(0, 1),
        PlaneRef(0, 2),
        None,
    ]
    assert len(made.data_sets) == 1
    assert "holds 3 planes" in next(p.text for p in made.problems if p.file == "stack.tif")


def test_planes_of_a_file_that_nobody_lists_are_told(tmp_path: Path) -> None:
    write_tiff(tmp_path / "stack.tif", noise(3, *SHAPE))
    made = manifest(tmp_path, [PlaneFile("P", "A01", 0, "C0", 0, 0, "stack.tif")])
    assert "holds 3 planes, of which its metadata tell 1" in told(made)["stack.tif"]
    # What is in it and not registered must not be lost with it.
    assert made.data_sets[0].is_held


@pytest.mark.parametrize(
    "path", ["../secret.tif", "/etc/passwd", "http://host/a.tif", "a/../../b.tif", "C:\\a.tif"]
)
def test_names_that_lead_out_of_the_folder_are_errors(
    tmp_path: Path, listed: list[PlaneFile], path: str
) -> None:
    made = manifest(tmp_path, [*listed, replace(listed[0], tpoint=1, path=path)])
    (problem,) = [problem for problem in made.problems if problem.severity == "error"]
    assert "not followed" in problem.text
    assert len(list(made.rows())) == len(listed)


@pytest.mark.parametrize("index", [{"site": -1}, {"tpoint": 2**40}, {"page": -1}])
def test_indices_that_make_no_sense_are_errors(
    tmp_path: Path, listed: list[PlaneFile], index: dict[str, int]
) -> None:
    made = manifest(tmp_path, [*listed, replace(listed[0], **index)])  # type: ignore[arg-type]  # names of fields
    assert [problem.severity for problem in made.problems] == ["error"]


def test_a_plane_that_is_absent_once_and_there_once_is_there(
    tmp_path: Path, listed: list[PlaneFile]
) -> None:
    made = manifest(tmp_path, [replace(listed[0], path="gone.tif"), *listed])
    assert len(list(made.rows())) == len(listed)
    assert made.problems == []


def test_a_folder_without_one_good_plane_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    with pytest.raises(RegistrationError, match="none of them can be read"):
        manifest(tmp_path, list(planes()))


def test_sites_lie_where_the_microscope_says(tmp_path: Path, listed: list[PlaneFile]) -> None:
    cells = {SiteKey("P", well, site): (1 - site, 2) for well in ("A01",) for site in (0, 1)}
    made = manifest(tmp_path, listed, site_cells=cells)
    assert {key: (site.y, site.x) for key, site in made.sites.items()} == {
        **cells,
        SiteKey("P", "B02", 0): (0, 0),
        SiteKey("P", "B02", 1): (0, 1),
    }


def test_a_stage_that_counts_upwards_is_turned(tmp_path: Path, listed: list[PlaneFile]) -> None:
    upright = [replace(plane, stage_x_um=0.0, stage_y_um=50.0 * plane.site) for plane in listed]
    down = manifest(tmp_path, upright).sites[SiteKey("P", "A01", 1)]
    up = manifest(tmp_path, upright, y_grows_up=True).sites[SiteKey("P", "A01", 1)]
    assert ((down.y, down.x), (up.y, up.x)) == ((1, 0), (0, 0))


def test_two_sites_at_one_place_of_the_stage_are_an_error(
    tmp_path: Path, listed: list[PlaneFile]
) -> None:
    alike = [replace(plane, stage_x_um=7.0) for plane in listed]
    made = manifest(tmp_path, alike)
    assert {problem.severity for problem in made.problems} == {"error"}
    assert "sites 0 and 1 stand at the same place" in made.problems[0].text
    assert manifest(tmp_path, alike, options=ManifestOptions(layout="horizontal")).problems == []


def test_metadata_are_kept_with_the_acquisition(tmp_path: Path, listed: list[PlaneFile]) -> None:
    (tmp_path / "plate.xml").write_text("<plate/>")
    made = manifest(tmp_path, listed, metadata=["plate.xml"], metadata_text="<plate/>")
    ((plate, acquisition, data_set),) = made.metadata_sets
    assert (plate, acquisition, data_set.metadata_text) == ("P", "acquisition_0", "<plate/>")
    assert not data_set.entry.holds_pixels


def test_the_user_names_plate_and_acquisition(tmp_path: Path, listed: list[PlaneFile]) -> None:
    given = ManifestOptions(plate="mine", acquisition="day 2", cycle=3)
    rows = list(manifest(tmp_path, listed, options=given, acquisition="theirs").rows())
    assert {(row.site.plate, row.acquisition, row.cycle) for row in rows} == {("mine", "day 2", 3)}
    two = [*listed, replace(listed[0], plate="Q", path=None)]
    rows = list(manifest(tmp_path, two, options=given).rows())
    assert {row.site.plate for row in rows} == {"mine_P", "mine_Q"}


def test_a_file_of_colour_samples_is_left_to_bioformats(tmp_path: Path) -> None:
    pixels = np.moveaxis(noise(3, *SHAPE, dtype="uint8"), 0, -1)
    write_tiff(tmp_path / "rgb.tif", pixels, photometric="rgb")
    made = manifest(tmp_path, [PlaneFile("P", "A01", 0, "C0", 0, 0, "rgb.tif")])
    (row,) = made.rows()
    assert (row.ref, row.height, row.width, row.dtype) == (PlaneRef(0, 0), *SHAPE, "uint8")
    assert "holds 3 planes" in told(made)["rgb.tif"]
