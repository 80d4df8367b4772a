"""Manifests as CSV files: written, corrected, taken back."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from imextract.errors import RegistrationError
from imextract.registration.manifest import Manifest, Problem
from imextract.registration.manifest_file import correct_manifest, write_manifest_file
from tests.planes_of_files import manifest, planes, write


@pytest.fixture
def made(tmp_path: Path) -> Manifest:
    folder = tmp_path / "plate"
    listed = list(planes())
    for plane in listed[1:]:
        write(folder, plane)
    return manifest(folder, listed)


@pytest.fixture
def file(made: Manifest, tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    write_manifest_file(made, path)
    return path


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def rewrite(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", errors="surrogateescape") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def errors(made: Manifest) -> list[str]:
    return [problem.text for problem in made.problems if problem.severity == "error"]


def test_every_plane_has_its_line(made: Manifest, file: Path) -> None:
    found = lines(file)
    assert len(found) == 16
    assert [line["state"] for line in found].count("absent") == 1
    first = next(line for line in found if line["source_file"] == "B02_s1_c1_z0_t0.tif")
    expected = {
        "plate": "P", "well": "B02", "site": "1", "site_y": "0", "site_x": "1",
        "acquisition": "acquisition_0", "cycle": "0", "channel": "C1", "tpoint": "0",
        "zplane": "0", "state": "planned", "series": "0", "plane": "0", "height": "6",
        "width": "8", "dtype": "uint16", "stage_x_um": "100.0", "stage_z_um": "",
        "emission_nm": "525.0",
    }  # fmt: skip
    assert expected.items() <= first.items()


def test_an_unchanged_file_changes_nothing(made: Manifest, file: Path) -> None:
    before = list(made.rows()), dict(made.sites), dict(made.channels), list(made.problems)
    correct_manifest(made, file)
    assert (list(made.rows()), made.sites, made.channels, made.problems) == before


def test_what_is_corrected_is_taken(made: Manifest, file: Path) -> None:
    found = [line for line in lines(file) if line["well"] == "A01"]
    for line in found:
        line.update(well="C07", channel="DAPI" if line["channel"] == "C0" else "GFP", tpoint="4")
        line["site_y"] = "3"
    rewrite(file, found)
    correct_manifest(made, file)
    assert {(row.site.well, row.channel, row.tpoint) for row in made.rows()} == {
        ("C07", "DAPI", 4),
        ("C07", "GFP", 4),
    }
    assert {site.y for site in made.sites.values()} == {3}
    assert made.channels["GFP"].emission_nm == 525.0
    assert made.problems[-1] == Problem(
        "warning",
        str(file),
        "8 planes of the folder are not in the manifest: left out; "
        "files that hold one are never deleted",
    )


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("source_file", "other.tif", "has no plane 0 of series 0 in 'other.tif'"),
        ("source_file", "../plate/A01_s0_c0_z1_t0.tif", "has no plane"),
        ("plane", "1", "has no plane 1"),
        ("series", "-1", "expected a number"),
        ("site", "99999999999", "expected a number"),
        ("zplane", "٣", "expected a number"),
        ("tpoint", "1.5", "expected a number"),
        ("well", "", "well is empty"),
        ("height", "7", "height, width and dtype are 7 x 8 uint16"),
        ("dtype", "uint8", "height, width and dtype"),
        ("state", "absent", "but source_file is"),
        ("state", "extracted", "expected planned or absent"),
        ("stage_x_um", "nan", "expected a number or nothing"),
        ("site_y", "5", "other rows of well"),
        ("plate", "Pl\udce4tte", "is no UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    made: Manifest, file: Path, column: str, value: str, problem: str
) -> None:
    found = lines(file)
    found[7][column] = value
    rewrite(file, found)
    correct_manifest(made, file)
    (text,) = errors(made)
    assert text.startswith("line 9: ")
    assert problem in text


def test_a_channel_has_one_wavelength(made: Manifest, file: Path) -> None:
    found = lines(file)
    next(line for line in found if line["emission_nm"])["emission_nm"] = "600"
    rewrite(file, found)
    correct_manifest(made, file)
    assert "emission_nm is 525.0: other rows of channel C1 tell 600.0" in errors(made)[0]


@pytest.mark.parametrize(("column", "value"), [("dtype", "uint17"), ("height", "0")])
def test_an_absent_plane_has_pixels_that_could_be(
    made: Manifest, file: Path, column: str, value: str
) -> None:
    found = lines(file)
    next(line for line in found if line["state"] == "absent")[column] = value
    rewrite(file, found)
    correct_manifest(made, file)
    (text,) = errors(made)
    assert f"{column} is {value!r}" in text or f"{column} is {value}: expected" in text


def test_metadata_stay_with_the_planes_they_tell_of(made: Manifest, file: Path) -> None:
    before = "P", "acquisition_0"
    known, foreign = made.data_sets[:2]
    made.metadata_sets = [(*before, known), ("Q", "acquisition_0", foreign)]
    made.objectives = {before: "20x", ("Q", "acquisition_0"): "63x"}
    made.own_types = {before: "operetta", ("Q", "acquisition_0"): "scanr"}
    found = lines(file)
    for line in found[:8]:
        line["plate"] = "First"
    rewrite(file, found)
    correct_manifest(made, file)
    now = [("First", "acquisition_0"), before]
    assert made.metadata_sets == [(*one, known) for one in now]
    assert made.objectives == dict.fromkeys(now, "20x")
    assert [made.type_of(*one) for one in now] == ["operetta"] * 2


def test_a_plane_in_two_lines_is_an_error(made: Manifest, file: Path) -> None:
    found = lines(file)
    rewrite(file, [*found, found[-1] | {"tpoint": "1"}])
    correct_manifest(made, file)
    assert "was in a line before" in errors(made)[0]


@pytest.mark.parametrize(
    ("head", "problem"),
    [("plate,well\n", "no column 'site'"), ("", "no column"), ("colour\n", "unknown column")],
)
def test_other_columns_are_refused(made: Manifest, file: Path, head: str, problem: str) -> None:
    file.write_text(head)
    with pytest.raises(RegistrationError, match=problem):
        correct_manifest(made, file)


def test_a_file_that_is_there_is_not_overwritten(made: Manifest, file: Path) -> None:
    with pytest.raises(RegistrationError, match="cannot be written"):
        write_manifest_file(made, file)


def test_names_of_any_bytes_come_back(tmp_path: Path) -> None:
    folder, file = tmp_path / "strange", tmp_path / "strange.csv"
    listed = [replace(next(planes()), path='a "b",\n\udcff.tif')]
    write(folder, listed[0])
    made = manifest(folder, listed)
    write_manifest_file(made, file)
    before = list(made.rows())
    correct_manifest(made, file)
    assert list(made.rows()) == before
    assert made.problems == []
