from dataclasses import replace
from pathlib import Path

import pytest

from imextract.planes import PlaneRef, SeriesStructure
from imextract.registration.checks import check_manifest
from imextract.registration.images import ImageRows
from imextract.registration.manifest import ChannelInfo, Manifest, ManifestRow, SiteInfo, SiteKey
from imextract.registration.ome import OmeImage
from tests.experiments import Rows


def manifest(*files: str, well: str = "A01", dtype: str = "uint16", size: int = 4) -> Manifest:
    """A manifest in which every file holds the same six planes of the same site."""
    site = SiteKey("P", well, 0)
    structure = SeriesStructure(size, 3, 1, 2, 3, dtype, "XYCZT")
    return Manifest(
        Path("/plate"),
        "bioformats",
        sites={site: SiteInfo(0, 0, 3, size)},
        row_groups=[
            ImageRows(site, "run", 0, ("a", "b"), file, 0, structure, OmeImage("I"))
            for file in files
        ],
    )


def test_a_sound_manifest_has_no_problems() -> None:
    assert check_manifest(manifest("a.tif")) == []


def test_an_empty_manifest_has_no_problems() -> None:
    assert check_manifest(manifest()) == []


def test_planes_that_are_there_twice_are_errors_that_name_both_files() -> None:
    (problem,) = check_manifest(manifest("a.tif", "b.tif"))
    assert (problem.severity, problem.file) == ("error", "b.tif")
    assert problem.text.startswith("6 planes of this file are the same as of a.tif")


def test_a_plane_that_is_twice_in_one_file_is_an_error() -> None:
    (problem,) = check_manifest(manifest("a.tif", "a.tif"))
    assert (problem.severity, problem.file) == ("error", "a.tif")


def test_a_thousand_duplicates_are_counted_not_listed() -> None:
    problems = check_manifest(manifest(*(f"{number}.tif" for number in range(200))))
    assert len(problems) == 21
    assert problems[-1].text.startswith(f"{199 - 20} more pairs")


@pytest.mark.parametrize("size", [-1, 0, 2**31])
def test_a_size_that_cannot_be_is_an_error(size: int) -> None:
    (problem,) = check_manifest(manifest("a.tif", size=size))
    assert (problem.severity, problem.file) == ("error", "a.tif")
    assert f"has {size} x 3 pixels" in problem.text


def test_facts_that_cannot_be_are_warnings_of_their_kind() -> None:
    sound = manifest("a.tif")
    rows = [
        replace(row, pixel_size_x_um=-0.5, pixel_size_z_um=0.0, exposure_ms=-1.0)
        for row in sound.rows()
    ]
    sound.row_groups = [Rows(rows)]
    sound.channels = {"a": ChannelInfo("a", 488.0, -5.0)}
    problems = check_manifest(sound)
    assert {problem.severity for problem in problems} == {"warning"}
    assert [problem.text.split(", ")[0] for problem in problems] == [
        "the metadata tell pixel_size_x_um -0.5 of 6 planes",
        "the metadata tell pixel_size_z_um 0.0 of 6 planes",
        "the metadata tell exposure_ms -1.0 of 6 planes",
        "the metadata tell emission_nm -5.0 of channel a",
    ]


@pytest.mark.parametrize("well", ["", "A1", "ZZ99", "a01", "well 3"])
def test_a_well_name_that_is_none_is_an_error(well: str) -> None:
    (problem,) = check_manifest(manifest("a.tif", well=well))
    assert problem.severity == "error"
    assert repr(well) in problem.text


@pytest.mark.parametrize("dtype", ["complex64", "bit", "float16", "uint64"])
def test_a_type_that_cannot_be_stored_is_an_error_once_a_file(dtype: str) -> None:
    (problem,) = check_manifest(manifest("a.tif", dtype=dtype))
    assert (problem.severity, problem.file) == ("error", "a.tif")
    assert dtype in problem.text


def test_an_image_without_pixels_is_an_error() -> None:
    (problem,) = check_manifest(manifest("a.tif", size=0))
    assert (problem.severity, problem.file) == ("error", "a.tif")


def rows_of(*planes: tuple[int, str, int, int]) -> Manifest:
    """A manifest of planes given as site, channel, tpoint, zplane."""
    made = Manifest(Path("/plate"), "made-up", row_groups=[held := Rows()])
    for number, (site, channel, tpoint, zplane) in enumerate(planes):
        key = SiteKey("P", "A01", site)
        made.sites[key] = SiteInfo(0, site, 3, 4)
        row = ManifestRow(
            key, "run", 0, channel, tpoint, zplane, f"{number}.tif", PlaneRef(0, 0), 3, 4, "uint16"
        )
        held.held.append(row)
    return made


def change(made: Manifest, index: int, **values: object) -> Manifest:
    (held,) = made.row_groups
    assert isinstance(held, Rows)
    held.held[index] = replace(held.held[index], **values)  # type: ignore[arg-type]  # names of fields
    return made


FULL = [
    (site, channel, t, z) for site in (0, 1) for channel in "ab" for t in (0, 1) for z in (0, 1)
]


def test_a_full_set_has_no_problems() -> None:
    assert check_manifest(rows_of(*FULL)) == []


def test_a_site_with_planes_of_two_sizes_is_told() -> None:
    (problem,) = check_manifest(change(rows_of(*FULL), 5, height=9))
    assert (problem.severity, problem.file) == ("warning", "5.tif")
    assert "4 x 9 pixels, another plane of the same site 4 x 3" in problem.text


def test_types_mixed_in_a_channel_are_told_with_a_file_of_each() -> None:
    (problem,) = check_manifest(change(rows_of(*FULL), 0, dtype="uint8"))
    assert problem.severity == "warning"
    assert "channel a of plate P" in problem.text
    assert "uint8 (0.tif), uint16 (1.tif)" in problem.text


@pytest.mark.parametrize("missing", range(len(FULL)))
def test_a_plane_missing_in_between_is_told(missing: int) -> None:
    (problem,) = check_manifest(rows_of(*FULL[:missing], *FULL[missing + 1 :]))
    site, channel, *_ = FULL[missing]
    assert f"channel {channel}: 1 of 2 sites have fewer planes than 2 tpoints x 2 zplanes" in (
        problem.text
    )
    assert f"site {site} with 3" in problem.text


def test_an_absent_plane_is_not_missing_and_has_no_shape() -> None:
    absent = {"source_file": None, "ref": None, "height": 99, "dtype": "uint8"}
    assert check_manifest(change(rows_of(*FULL), 3, **absent)) == []


def test_two_sites_in_one_cell_are_an_error() -> None:
    made = rows_of(*FULL)
    made.sites[SiteKey("P", "A01", 1)] = SiteInfo(0, 0, 3, 4)
    (problem,) = check_manifest(made)
    assert problem.severity == "error"
    assert "sites 0 and 1 lie at the same place, row 0, column 0" in problem.text
