"""Files that Bio-Formats opens wrongly, or not at all: read in another way, or named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.readers.registry import open_reader
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.cross_check import cross_check
from imextract.registration.manifest import Manifest
from tests.support import noise, ref_of

PATTERN = r"^(?P<c>[a-z]+)_(?P<w>[A-P]\d\d)\.tif$"


def build(folder: Path, pattern: str | None = None) -> Manifest:
    return build_manifest(folder, ManifestOptions(pattern=pattern), Settings())


def warnings(manifest: Manifest) -> list[tuple[str | None, str]]:
    return [(one.file, one.text) for one in manifest.problems if one.severity == "warning"]


@pytest.mark.parametrize("pattern", [None, PATTERN], ids=["by itself", "by a pattern"])
@pytest.mark.parametrize("coding", ["jpegxl", "lzma", "png", "lerc"])
def test_tiffs_of_codings_unknown_to_bioformats_are_registered(
    tmp_path: Path, coding: str, pattern: str | None
) -> None:
    pages = np.stack([noise(24, 32, seed=seed).astype("uint16") for seed in range(3)])
    one, several = tmp_path / "one_A01.tif", tmp_path / "several_B02.tif"
    tifffile.imwrite(one, pages[0], compression=coding, metadata=None)
    tifffile.imwrite(several, pages, compression=coding, photometric="minisblack", metadata=None)

    manifest = build(tmp_path, pattern)

    # By the pattern each file is a channel that the other has not, of which the folder is told.
    assert [problem for problem in manifest.problems if problem.file is not None] == []
    assert {data_set.reader for data_set in manifest.data_sets} == {"tifffile"}
    rows = list(manifest.rows())
    assert [(row.source_file, row.tpoint) for row in rows] == [
        ("one_A01.tif", 0),
        *(("several_B02.tif", tpoint) for tpoint in range(3)),
    ]
    for row in rows:
        with open_reader("tifffile", tmp_path / str(row.source_file), Settings()) as reader:
            assert np.array_equal(reader.read_plane(ref_of(row)), pages[row.tpoint])
    # Said once, and no error: nobody else can read them.
    (problem,) = cross_check(manifest, 5, Settings())
    assert "no plane could be compared with Bio-Formats" in problem.text


def test_a_set_of_an_unknown_coding_is_not_taken_for_plain_pages(tmp_path: Path) -> None:
    path = tmp_path / "set.ome.tif"
    pages = np.stack([noise(24, 32, seed=seed).astype("uint16") for seed in range(4)])
    tifffile.imwrite(
        path, pages.reshape(2, 2, 24, 32), compression="lzma", metadata={"axes": "CZYX"}
    )
    tifffile.imwrite(tmp_path / "sound.tif", pages[0], metadata=None)

    manifest = build(tmp_path)

    assert [row.source_file for row in manifest.rows()] == ["sound.tif"]
    assert ("set.ome.tif", "cannot be opened") in [(f, t[:16]) for f, t in warnings(manifest)]


@pytest.mark.parametrize("pattern", [None, PATTERN], ids=["by itself", "by a pattern"])
def test_a_truncated_tiff_is_warned_of_whatever_reads_it(
    tmp_path: Path, pattern: str | None
) -> None:
    pages = np.stack([noise(24, 32, seed=seed).astype("uint16") for seed in range(2)])
    whole = tmp_path / "whole_A01.tif"
    tifffile.imwrite(whole, pages[0], metadata=None)
    tifffile.imwrite(tmp_path / "single_A02.tif", pages[0], metadata=None)
    tifffile.imwrite(tmp_path / "pages_A03.tif", pages, photometric="minisblack", metadata=None)
    tifffile.imwrite(tmp_path / "imagej_A04.tif", pages, imagej=True)
    cut = sorted(path for path in tmp_path.iterdir() if path != whole)
    for path in cut:
        path.write_bytes(path.read_bytes()[:-300])

    manifest = build(tmp_path, pattern)

    told = [(file, text.split(",")[0]) for file, text in warnings(manifest) if file]
    assert [file for file, _ in sorted(told)] == [path.name for path in cut]
    assert all(text.startswith("is truncated") for _, text in told)
    assert cross_check(manifest, 5, Settings()) == []


@pytest.mark.parametrize("pattern", [None, r"^(?P<c>[a-z]+)&"], ids=["by itself", "by a pattern"])
def test_pixels_that_cannot_be_stored_leave_out_only_their_data_set(
    tmp_path: Path, pattern: str | None
) -> None:
    (tmp_path / "bits&pixelType=bit&sizeX=32&sizeY=32.fake").touch()
    (tmp_path / "good&sizeX=32&sizeY=32.fake").touch()

    manifest = build(tmp_path, pattern)

    assert {row.source_file for row in manifest.rows()} == {"good&sizeX=32&sizeY=32.fake"}
    assert [one.entry.path for one in manifest.data_sets] == ["good&sizeX=32&sizeY=32.fake"]
    ((file, text),) = warnings(manifest)
    assert file == "bits&pixelType=bit&sizeX=32&sizeY=32.fake"
    assert "pixels of type bit" in text
    assert "left out" in text
    assert [one for one in manifest.problems if one.severity == "error"] == []
