"""VisiView's and MetaMorph's folders: every plane where its pixels say that it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import tifffile

from imextract.planes import PlaneRef
from imextract.registration.manifest import ManifestRow, SiteKey
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlaneKey, PlateLayout
from imextract.simulation.stk import write_stk
from imextract.simulation.visiview import write_metamorph_plate, write_visiview_plate
from tests.spelt_plates import compare, errors, manifest_of, row_key, warnings
from tests.support import noise

PLATE = PlateLayout(wells=2, sites=3, channels=2, zplanes=3, tpoints=2, height=24, width=32)


def write_nd(folder: Path, name: str, *lines: str) -> None:
    text = ['"NDInfoFile", Version 1.0', *lines, '"EndFile"', ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\r\n".join(text), "utf-8", newline="")


def write_plane(path: Path, seed: int = 0) -> Path:
    tifffile.imwrite(path, noise(8, 9, seed=seed), photometric="minisblack", metadata=None)
    return path


def places(rows: list[ManifestRow]) -> dict[str | None, tuple[SiteKey, str, int, int]]:
    return {row.source_file: (row.site, row.channel, row.tpoint, row.zplane) for row in rows}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"zplanes": 1},
        {"tpoints": 1, "channels": 1},
        {"wells": 1, "sites": 1},
        {"wells": 1, "sites": 1, "channels": 1, "zplanes": 1, "tpoints": 1},
    ],
)
def test_every_plane_of_a_visiview_plate_is_what_it_spells(
    tmp_path: Path, changes: dict[str, int]
) -> None:
    layout = replace(PLATE, **changes)  # type: ignore[arg-type]
    write_visiview_plate(tmp_path, layout, Faults())
    manifest = manifest_of(tmp_path)
    assert manifest.microscope_type == "visiview"
    assert manifest.problems == []
    assert len(compare(tmp_path, manifest, layout)["present"]) == layout.plane_count
    assert {data_set.reader for data_set in manifest.data_sets} == {"tifffile"}
    row = next(manifest.rows())
    assert (row.pixel_size_x_um, row.pixel_size_y_um) == (0.325, 0.325)
    assert row.pixel_size_z_um == (1.5 if layout.zplanes > 1 else None)


def test_positions_that_name_no_well_are_sites_of_one(tmp_path: Path) -> None:
    write_metamorph_plate(tmp_path, PLATE, Faults())

    def key_of(row: ManifestRow, layout: PlateLayout) -> PlaneKey:
        assert row.site.well == "A01"
        well, site = divmod(row.site.site, layout.sites)
        return replace(row_key(row, layout), well=("B02", "B03")[well], site=site)

    manifest = manifest_of(tmp_path)
    assert manifest.microscope_type == "metamorph"
    assert len(compare(tmp_path, manifest, PLATE, key_of)["present"]) == PLATE.plane_count


def test_missing_and_damaged_stacks_are_named_and_no_other_is_lost(tmp_path: Path) -> None:
    write_visiview_plate(tmp_path, PLATE, Faults(absent=2, truncated=1, thumbnails=True))
    manifest = manifest_of(tmp_path)
    found = compare(tmp_path, manifest, PLATE)
    assert (len(found["absent"]), len(found["damaged"])) == (2 * 3, 3)
    assert len(found["present"]) == PLATE.plane_count - 9
    told = " ".join(warnings(manifest))
    assert "is truncated" in told
    assert "absent" in told
    assert errors(manifest) == []


def test_a_stack_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    write_visiview_plate(tmp_path, PLATE, Faults(duplicated=1))
    (error,) = errors(manifest_of(tmp_path))
    assert "3 planes of this file are the same as of" in error


def test_a_stack_with_too_few_planes_has_the_others_absent(tmp_path: Path) -> None:
    stage, z = ('"DoStage", FALSE', '"DoWave", FALSE'), ('"DoZSeries", TRUE', '"NZSteps", 3')
    write_nd(tmp_path, "a.nd", *stage, *z)
    write_stk(tmp_path / "a.stk", list(noise(2, 8, 9)), pixel_size_um=1, zstep_um=1)
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["a.stk", "a.stk", None]
    assert "a.stk: holds 2 planes, but 3 are declared: the others are absent" in warnings(manifest)


def test_a_wave_without_focus_series_is_not_missed(tmp_path: Path) -> None:
    waves = ('"DoWave", TRUE', '"NWavelengths", 2', '"WaveName1", "A"', '"WaveDoZ1", TRUE')
    more = ('"WaveName2", "B"', '"WaveDoZ2", FALSE', '"DoZSeries", TRUE', '"NZSteps", 2')
    write_nd(tmp_path, "a.nd", *waves, *more)
    write_stk(tmp_path / "a_w1A.stk", list(noise(2, 8, 9)), pixel_size_um=1, zstep_um=1)
    write_plane(tmp_path / "a_w2B.TIF")
    manifest = manifest_of(tmp_path)
    assert [(row.channel, row.zplane) for row in manifest.rows()] == [("A", 0), ("A", 1), ("B", 0)]
    assert not any("absent" in text for text in warnings(manifest))


def test_time_points_in_one_stack_are_time_points(tmp_path: Path) -> None:
    write_nd(tmp_path, "fast.nd", '"DoTimelapse", TRUE', '"NTimePoints", 4')
    planes = noise(4, 8, 9)
    write_stk(tmp_path / "fast.stk", list(planes), pixel_size_um=1, zstep_um=1)
    rows = list(manifest_of(tmp_path).rows())
    assert [(row.tpoint, row.zplane, row.ref) for row in rows] == [
        (index, 0, PlaneRef(0, index)) for index in range(4)
    ]


def test_names_of_waves_may_look_like_numbers(tmp_path: Path) -> None:
    wave = ('"DoWave", TRUE', '"NWavelengths", 1', '"WaveName1", "x_s9_t9"')
    write_nd(tmp_path, "a.nd", *wave, '"DoStage", TRUE', '"NStagePositions", 2')
    for stage in (1, 2):
        write_plane(tmp_path / f"a_w1x_s9_t9_s{stage}.tif", stage)
    found = places(list(manifest_of(tmp_path).rows()))
    assert {path: place[0].site for path, place in found.items()} == {
        "a_w1x_s9_t9_s1.tif": 0,
        "a_w1x_s9_t9_s2.tif": 1,
    }


def test_a_longer_name_does_not_take_the_images_of_a_shorter(tmp_path: Path) -> None:
    stages = ('"DoStage", TRUE', '"NStagePositions", 2')
    write_nd(tmp_path, "a.nd", *stages)
    write_nd(tmp_path, "a_s1.nd", *stages)
    for name in ("a_s1.tif", "a_s2.tif", "a_s1_s1.tif", "a_s1_s2.tif"):
        write_plane(tmp_path / name)
    found = places(list(manifest_of(tmp_path).rows()))
    assert {path: (place[0].plate, place[0].site) for path, place in found.items()} == {
        "a_s1.tif": ("a", 0),
        "a_s2.tif": ("a", 1),
        "a_s1_s1.tif": ("a_s1", 0),
        "a_s1_s2.tif": ("a_s1", 1),
    }


def test_numbers_beyond_those_declared_are_left_out_by_name(tmp_path: Path) -> None:
    write_nd(tmp_path, "a.nd", '"DoStage", TRUE', '"NStagePositions", 1')
    write_plane(tmp_path / "a_s1.tif")
    write_plane(tmp_path / "a_s2.tif")
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["a_s1.tif"]
    reason = "is named after a.nd, but with numbers that it does not declare: left out"
    assert f"a_s2.tif: {reason}" in warnings(manifest)


def test_every_image_that_is_left_out_is_named(tmp_path: Path) -> None:
    write_nd(tmp_path, "a.nd", '"DoStage", TRUE', '"NStagePositions", 1')
    for number in range(1, 6):
        write_plane(tmp_path / f"a_s{number}.tif")
    told = [text for text in warnings(manifest_of(tmp_path)) if "does not declare" in text]
    assert [text.split(":")[0] for text in told] == [f"a_s{number}.tif" for number in range(2, 6)]


def test_wells_of_large_plates_and_sites_that_do_not_count_from_one(tmp_path: Path) -> None:
    stages = ["row:AA,column:1,site:4", "row:AA,column:1,site:7", "row:2,column:12,site:4"]
    named = [f'"Stage{number}", "{name}"' for number, name in enumerate(stages, 1)]
    write_nd(tmp_path, "a.nd", '"DoStage", TRUE', '"NStagePositions", 3', *named)
    for stage in (1, 2, 3):
        write_plane(tmp_path / f"a_s{stage}.tif", stage)
    found = places(list(manifest_of(tmp_path).rows()))
    assert {path: (place[0].well, place[0].site) for path, place in found.items()} == {
        "a_s1.tif": ("AA01", 0),
        "a_s2.tif": ("AA01", 1),
        "a_s3.tif": ("B12", 0),
    }


def test_a_position_without_a_well_among_wells_is_left_out_by_name(tmp_path: Path) -> None:
    stages = ('"Stage1", "row:A,column:1,site:1"', '"Stage2", "Overview"')
    write_nd(tmp_path, "a.nd", '"DoStage", TRUE', '"NStagePositions", 2', *stages)
    for stage in (1, 2):
        write_plane(tmp_path / f"a_s{stage}.tif", stage)
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["a_s1.tif"]
    assert any("'Overview', which tells no well: left out" in text for text in warnings(manifest))


def test_a_file_that_makes_no_sense_is_an_error_by_name(tmp_path: Path) -> None:
    write_visiview_plate(tmp_path, replace(PLATE, wells=1, sites=2), Faults())
    write_nd(tmp_path, "bad.nd", '"DoTimelapse", TRUE', '"NTimePoints", -3')
    write_plane(tmp_path / "bad_t1.tif")
    (error,) = errors(manifest_of(tmp_path))
    assert error.startswith("bad.nd: ")
    assert "NTimePoints is '-3'" in error


def test_pixels_of_big_stacks_are_whole(tmp_path: Path) -> None:
    write_nd(tmp_path, "a.nd", '"DoZSeries", TRUE', '"NZSteps", 40')
    planes = noise(40, 64, 65)
    write_stk(tmp_path / "a.stk", list(planes), pixel_size_um=1, zstep_um=1)
    rows = list(manifest_of(tmp_path).rows())
    assert [row.zplane for row in rows] == list(range(40))
    assert {(row.height, row.width, row.dtype) for row in rows} == {(64, 65, "uint16")}


def test_a_wavelength_may_be_called_like_a_number(tmp_path: Path) -> None:
    names = ('"WaveName1", "Conf:_s3"', '"WaveName2", "GFP_t2"', '"WaveName3", "A_s1"')
    write_nd(tmp_path, "exp.nd", '"DoWave", TRUE', '"NWavelengths", 3', *names)
    for name in ("exp_w1Conf-_s3.tif", "exp_w2GFP_t2.tif", "exp_w3A_s1.tif"):
        write_plane(tmp_path / name, seed=len(name))
    manifest = manifest_of(tmp_path)
    assert warnings(manifest) == []
    assert [(row.source_file, row.channel) for row in manifest.rows()] == [
        ("exp_w1Conf-_s3.tif", "Conf:_s3"),
        ("exp_w2GFP_t2.tif", "GFP_t2"),
        ("exp_w3A_s1.tif", "A_s1"),
    ]


def test_images_may_differ_from_the_nd_file_in_case(tmp_path: Path) -> None:
    write_nd(tmp_path, "Exp.nd", '"DoTimelapse", TRUE', '"NTimePoints", 2')
    for tpoint in (1, 2):
        write_plane(tmp_path / f"exp_t{tpoint}.tif", seed=tpoint)
    rows = list(manifest_of(tmp_path).rows())
    assert [(row.source_file, row.tpoint) for row in rows] == [("exp_t1.tif", 0), ("exp_t2.tif", 1)]


def test_two_nd_files_that_differ_in_case_have_their_own_images(tmp_path: Path) -> None:
    for number, stem in enumerate(("Exp", "exp")):
        write_nd(tmp_path, f"{stem}.nd", '"DoTimelapse", TRUE', '"NTimePoints", 1')
        write_plane(tmp_path / f"{stem}_t1.tif", seed=number)
    rows = list(manifest_of(tmp_path).rows())
    assert [(row.source_file, row.site.plate) for row in rows] == [
        ("Exp_t1.tif", "Exp"),
        ("exp_t1.tif", "exp"),
    ]
