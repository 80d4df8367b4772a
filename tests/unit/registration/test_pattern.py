"""Plainly numbered TIFFs, none of which needs Bio-Formats."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest, SiteInfo, SiteKey
from imextract.registration.patterns import NAMED_PATTERNS


def write(path: Path, shape: tuple[int, int] = (5, 7), dtype: str = "uint16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.arange(np.prod(shape), dtype=dtype).reshape(shape))
    return path


def build(folder: Path, pattern: str, **options: str) -> Manifest:
    options_ = ManifestOptions(pattern=pattern, **options)  # type: ignore[arg-type]  # all texts
    return build_manifest(folder, options_, Settings())


def errors(manifest: Manifest) -> list[str | None]:
    return [problem.file for problem in manifest.problems if problem.severity == "error"]


def test_every_group_finds_its_place(tmp_path: Path) -> None:
    for well in ("A01", "b12"):
        for channel in ("DAPI", "GFP"):
            write(tmp_path / f"{well}_s3_{channel}_z10_t5.tif")
    manifest = build(
        tmp_path, r"^(?P<w>[^_]+)_s(?P<s>\d+)_(?P<c>[^_]+)_z(?P<z>\d+)_t(?P<t>\d+)", plate="P"
    )
    rows = list(manifest.rows())
    assert [(row.site, row.channel) for row in rows] == [
        (SiteKey("P", "A01", 0), "DAPI"),
        (SiteKey("P", "A01", 0), "GFP"),
        (SiteKey("P", "B12", 0), "DAPI"),
        (SiteKey("P", "B12", 0), "GFP"),
    ]
    first = rows[0]
    assert first.source == ("A01_s3_DAPI_z10_t5.tif", PlaneRef(0, 0))
    assert (first.height, first.width, first.dtype) == (5, 7, "uint16")
    assert (first.zplane, first.tpoint, first.acquisition) == (0, 0, "acquisition_0")
    assert {data_set.reader for data_set in manifest.data_sets} == {"tifffile"}
    assert manifest.problems == []


def test_numbers_are_ranked_by_their_size_over_the_acquisition(tmp_path: Path) -> None:
    for name in ("A01_s9_z10", "A01_s9_z9", "A01_s10_z100", "A02_s10_z9"):
        write(tmp_path / f"{name}.tif")
    manifest = build(tmp_path, r"(?P<w>\w\d\d)_s(?P<s>\d+)_z(?P<z>\d+)")
    places = {row.source_file: (row.site.site, row.zplane) for row in manifest.rows()}
    assert places == {
        "A01_s9_z9.tif": (0, 0),
        "A01_s9_z10.tif": (0, 1),
        "A01_s10_z100.tif": (1, 2),
        "A02_s10_z9.tif": (1, 0),
    }


def test_what_the_pattern_leaves_out_has_defaults(tmp_path: Path) -> None:
    write(tmp_path / "plate 7" / "img_t3.tif")
    manifest = build(tmp_path / "plate 7", r"t(?P<t>\d)")
    (row,) = manifest.rows()
    assert row.site == SiteKey("plate 7", "A01", 0)
    assert (row.channel, row.zplane, row.tpoint) == ("1", 0, 0)
    assert manifest.channels.keys() == {"1"}


@pytest.mark.parametrize(
    ("lacks", "group", "severity"),
    [
        ("_s1_c1_z1", "w", "error"),
        ("B02_c1_z1", "s", "warning"),
        ("B02_s1_z1", "c", "warning"),
        ("B02_s1_c1", "z", "warning"),
    ],
)
def test_a_group_that_only_some_names_have_is_named(
    tmp_path: Path, lacks: str, group: str, severity: str
) -> None:
    for name in ("B02_s2_c2_z2", "B02_s3_c2_z2", lacks):
        write(tmp_path / f"{name}.tif")
    pattern = r"^(?P<w>B\d\d)?(_s(?P<s>\d))?(_c(?P<c>\d))?(_z(?P<z>\d))?\.tif"
    problems = build(tmp_path, pattern).problems
    (problem,) = [one for one in problems if "do not tell" in one.text]
    assert (problem.severity, problem.file) == (severity, f"{lacks}.tif")
    assert problem.text.startswith(f"1 of 3 names, such as this, do not tell group {group} ")


def test_a_group_that_no_name_has_is_no_news(tmp_path: Path) -> None:
    for site in "12":
        write(tmp_path / f"B02_s{site}.tif")
    assert build(tmp_path, r"(?P<w>B\d\d)_s(?P<s>\d)(_c(?P<c>\d))?\.tif").problems == []


def test_sites_stand_where_their_names_say(tmp_path: Path) -> None:
    for name in ("A01_y1_x1", "A01_y3_x2", "A01_y1_x4"):
        write(tmp_path / f"{name}.tif")
    manifest = build(tmp_path, r"(?P<w>...)_y(?P<y>\d)_x(?P<x>\d)")
    assert [(site.y, site.x) for site in manifest.sites.values()] == [(0, 0), (0, 2), (1, 1)]


def test_sites_without_positions_stand_in_a_row(tmp_path: Path) -> None:
    for site in (1, 2, 3):
        write(tmp_path / f"s{site}.tif")
    manifest = build(tmp_path, r"s(?P<s>\d)")
    assert list(manifest.sites.values()) == [SiteInfo(0, x, 5, 7, None) for x in range(3)]


def test_plates_come_from_the_path(tmp_path: Path) -> None:
    for plate in ("one", "two"):
        write(tmp_path / plate / "A01.tif")
    manifest = build(tmp_path, r"(?P<p>\w+)/(?P<w>\w+)\.tif")
    assert [row.site.plate for row in manifest.rows()] == ["one", "two"]


def test_files_that_do_not_match_are_counted(tmp_path: Path) -> None:
    for name in ("A01.tif", "thumb1.tif", "thumb2.tif"):
        write(tmp_path / name)
    manifest = build(tmp_path, r"(?P<w>[A-P]\d\d)\.tif$")
    ((severity, text),) = [(problem.severity, problem.text) for problem in manifest.problems]
    assert severity == "warning"
    assert text.startswith("2 files do not match")


def test_a_pattern_without_matches_is_an_error_with_an_example(tmp_path: Path) -> None:
    write(tmp_path / "img_001.tif")
    with pytest.raises(RegistrationError, match=r"matches none of the 1 files .*img_001\.tif"):
        build(tmp_path, r"(?P<w>[A-P]\d\d)_s\d")


def test_the_same_plane_twice_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    for name in ("A01_copy.tif", "A01.tif"):
        write(tmp_path / name)
    manifest = build(tmp_path, r"(?P<w>A\d\d)")
    assert errors(manifest) == ["A01_copy.tif"]
    assert "A01.tif" in manifest.problems[-1].text


def test_a_well_that_is_none_is_an_error_once_for_all_its_files(tmp_path: Path) -> None:
    for name in ("Z99_s1.tif", "Z99_s2.tif", "A01_s1.tif"):
        write(tmp_path / name)
    manifest = build(tmp_path, r"(?P<w>...)_s(?P<s>\d)")
    assert errors(manifest) == ["Z99_s1.tif"]


def test_a_damaged_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    whole = write(tmp_path / "s1.tif", (64, 64))
    (tmp_path / "s2.tif").write_bytes(whole.read_bytes()[:-1000])
    (tmp_path / "s3.tif").write_bytes(b"")
    manifest = build(tmp_path, r"s(?P<s>\d)")
    assert {problem.file for problem in manifest.problems} == {"s2.tif", "s3.tif"}
    assert {problem.severity for problem in manifest.problems} == {"warning"}
    # What is cut off is planned, so that its extraction fails by name.
    assert [row.source_file for row in manifest.rows()] == ["s1.tif", "s2.tif"]


def test_nothing_but_damaged_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "s1.tif").write_bytes(b"")
    with pytest.raises(RegistrationError, match=r"no file that matches .*s1\.tif: is empty"):
        build(tmp_path, r"s(?P<s>\d)")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (ManifestOptions(microscope="pattern"), "needs a pattern"),
        (ManifestOptions(microscope="bioformats", pattern="(?P<w>.)"), "leave one of them out"),
        (ManifestOptions(microscope="camera"), "expected one of bioformats, .*pattern"),
        (ManifestOptions(pattern="cellprofile-sbs"), "the ready ones are .*cellprofiler-sbs"),
        (ManifestOptions(cycle=-1), "from 0"),
    ],
)
def test_options_that_make_no_sense_are_errors(
    tmp_path: Path, options: ManifestOptions, problem: str
) -> None:
    write(tmp_path / "a.tif")
    with pytest.raises(RegistrationError, match=problem):
        build_manifest(tmp_path, options, Settings())


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32", "float64"]
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_types_are_named_in_native_order(tmp_path: Path, dtype: str, order: str) -> None:
    pixels = np.zeros((4, 4), dtype)
    tifffile.imwrite(
        tmp_path / "s1.tif",
        pixels,
        byteorder="<" if order == "little" else ">",
        photometric="minisblack",
    )
    manifest = build(tmp_path, r"s(?P<s>\d)")
    assert [row.dtype for row in manifest.rows()] == [dtype]
    assert manifest.data_sets[0].reader == "tifffile"


READY = [
    ("bbbc021", "Week1_150607_B02_s1_w107447158-AC92-4844-8584-3FB7D7AF9AA9.tif", "B02", "1"),
    ("cellprofiler-human", "AS_09125_050116030001_D03f00d0.tif", "D03", "0"),
    ("cellprofiler-sbs", "Channel1-01-A-01.tif", "A01", "1"),
    ("harmony", "r03c04f01p01-ch1sk1fk1fl1.tiff", "C04", "1"),
    ("incell", "B - 3(fld 1 wv DAPI - DAPI z 1 t 1).tif", "B03", "DAPI - DAPI"),
    ("ixm", "IXMtest_A02_s9.tif", "A02", "1"),
    ("mitocheck", "EMBO--empty--empty--W0002--P001--T00000--Z000--C.tif", "A02", "C"),
    ("opera", "002003001001004.tif", "B03", "004"),
    ("scanr", "--W00001--P00001--Z00000--T00000--cherry.tif", "A01", "cherry"),
    ("w-p-z-t", "--W00002--P00001--Z00000--T00000--cherry.tif", "A02", "cherry"),
    ("yokogawa", "P_D03_T0001F001L01A01Z01C02.tif", "D03", "C02"),
]


@pytest.mark.parametrize(("pattern", "name", "well", "channel"), READY)
def test_ready_patterns_read_the_names_they_are_for(
    tmp_path: Path, pattern: str, name: str, well: str, channel: str
) -> None:
    write(tmp_path / name)
    (row,) = build(tmp_path, pattern).rows()
    assert (row.site.well, row.channel) == (well, channel)


def test_every_ready_pattern_is_tested() -> None:
    assert {pattern for pattern, *_ in READY} == NAMED_PATTERNS.keys()


def test_numbers_that_are_left_out_are_named(tmp_path: Path) -> None:
    for site, tpoint in ((1, 1), (2, 1), (1, 3), (2, 3), (1, 9), (2, 9)):
        write(tmp_path / f"A01_s{site}_t{tpoint}.tif")
    manifest = build(tmp_path, r"(?P<w>A01)_s(?P<s>\d)_t(?P<t>\d)")
    (problem,) = manifest.problems
    assert problem.severity == "warning"
    assert problem.text.startswith(
        "time points have the numbers 1 to 9, but none has 2, 4, 5 and 3 more (not declared)"
    )
    assert {row.tpoint for row in manifest.rows()} == {0, 1, 2}
