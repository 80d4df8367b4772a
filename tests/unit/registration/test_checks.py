from pathlib import Path

import pytest

from imextract.planes import SeriesStructure
from imextract.registration.checks import check_manifest
from imextract.registration.images import ImageRows
from imextract.registration.manifest import Manifest, SiteInfo, SiteKey
from imextract.registration.ome import OmeImage


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
