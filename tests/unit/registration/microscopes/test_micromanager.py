"""Micro-Manager's folders and stacks: every plane where its pixels say that it is."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imextract.registration.manifest import SiteInfo
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlateLayout
from imextract.simulation.micromanager import (
    write_micromanager_1_plate,
    write_micromanager_plate,
)
from tests.spelt_plates import compare, errors, manifest_of, warnings
from tests.support import noise, write_tiff

PLATE = PlateLayout(wells=2, sites=3, channels=2, zplanes=3, tpoints=2, height=24, width=32)
WRITERS = [write_micromanager_1_plate, write_micromanager_plate]
Writer = Callable[[Path, PlateLayout, Faults], Path]


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads(path.read_text("utf-8"))
    edit(told)
    path.write_text(json.dumps(told), "utf-8")


def write_folder(folder: Path, summary: dict[str, Any], *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"Summary": {"Prefix": "run", "ChNames": ["A", "B"], "Channels": 2} | summary}
    (folder / "metadata.txt").write_text(json.dumps(told), "utf-8")
    for seed, name in enumerate(names):
        write_tiff(folder / name, noise(8, 9, seed=seed))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("changes", [{}, {"zplanes": 1, "tpoints": 1}, {"wells": 1, "sites": 1}])
def test_every_plane_of_a_plate_is_what_it_spells(
    tmp_path: Path, write: Writer, changes: dict[str, int]
) -> None:
    layout = replace(PLATE, **changes)  # type: ignore[arg-type]
    write(tmp_path, layout, Faults())
    manifest = manifest_of(tmp_path)
    assert manifest.microscope_type == "micromanager"
    assert manifest.problems == []
    assert len(compare(tmp_path, manifest, layout)["present"]) == layout.plane_count
    row = next(manifest.rows())
    assert (row.pixel_size_x_um, row.pixel_size_z_um, row.exposure_ms) == (0.325, 1.5, 20)


@pytest.mark.parametrize("write", WRITERS)
def test_faulty_planes_are_named_and_no_other_is_lost(tmp_path: Path, write: Writer) -> None:
    write(tmp_path, PLATE, Faults(absent=3, truncated=1))
    manifest = manifest_of(tmp_path)
    found = compare(tmp_path, manifest, PLATE)
    counts = {state: len(keys) for state, keys in found.items()}
    assert counts == {"present": PLATE.plane_count - 4, "absent": 3, "damaged": 1}
    assert errors(manifest) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_plane_that_is_there_twice_is_an_error(tmp_path: Path, write: Writer) -> None:
    write(tmp_path, PLATE, Faults(duplicated=1))
    (error,) = errors(manifest_of(tmp_path))
    assert "1 planes of this file are the same as of" in error


@pytest.mark.parametrize("write", WRITERS)
def test_metadata_that_end_in_the_middle_are_read_as_far_as_they_go(
    tmp_path: Path, write: Writer
) -> None:
    layout = replace(PLATE, wells=1, sites=1)
    entry = write(tmp_path, layout, Faults())
    text = entry.read_text("utf-8")
    entry.write_text(text[: len(text) * 2 // 3], "utf-8")
    manifest = manifest_of(tmp_path)
    assert len(compare(tmp_path, manifest, layout)["present"]) == layout.plane_count
    told = " ".join(warnings(manifest))
    assert "ends in the middle" in told
    assert "placed by names" in told


def test_an_aborted_acquisition_has_absent_planes(tmp_path: Path) -> None:
    layout = replace(PLATE, wells=1, sites=1)
    entry = write_micromanager_plate(tmp_path, layout, Faults())
    late = [path for path in entry.parent.glob("*.tif") if "time000000001" in path.name]
    for path in late:
        path.unlink()
    change(
        entry,
        lambda told: [told.pop(key) for key in list(told) if "time000000001" in key],
    )
    found = compare(tmp_path, manifest_of(tmp_path), layout)
    assert {key.tpoint for key in found["absent"]} == {1}
    assert len(found["absent"]) == len(late) == 6


def test_a_channel_taken_once_in_each_stack_misses_nothing(tmp_path: Path) -> None:
    names = [
        f"img_channel{c:03d}_position000_time{t:09d}_z{z:03d}.tif"
        for t in range(2)
        for c, z in [(0, 0), (0, 1), (0, 2), (1, 1)]
    ]
    write_folder(tmp_path, {"Slices": 3, "Frames": 2}, *names)
    manifest = manifest_of(tmp_path)
    assert [row.zplane for row in manifest.rows() if row.channel == "B"] == [1, 1]
    assert not any("absent" in text for text in warnings(manifest))


def test_channels_may_have_underscores(tmp_path: Path) -> None:
    names = ["img_000000000_A_1_000.tif", "img_000000000_A_000.tif"]
    write_folder(tmp_path, {"ChNames": ["A", "A_1"]}, *names)
    rows = {row.source_file: row.channel for row in manifest_of(tmp_path).rows()}
    assert rows == {names[0]: "A_1", names[1]: "A"}


def test_two_acquisitions_in_one_tree_are_two(tmp_path: Path) -> None:
    for name in ("run_1", "run_2"):
        write_folder(tmp_path / name, {"Prefix": name}, "img_000000000_A_000.tif")
    plates = {row.site.plate for row in manifest_of(tmp_path).rows()}
    assert plates == {"run_1", "run_2"}


def test_a_name_and_metadata_that_disagree_are_an_error(tmp_path: Path) -> None:
    layout = replace(PLATE, wells=1, sites=1)
    entry = write_micromanager_plate(tmp_path, layout, Faults())
    (name, *_) = [path.name for path in sorted(entry.parent.glob("*.tif"))]
    key = f"Coords-{entry.parent.name}/{name}"
    change(entry, lambda told: told[key].update(SliceIndex=1))
    assert any("by its name, but" in text for text in errors(manifest_of(tmp_path)))


@pytest.mark.parametrize("name", ["../x.tif", "/etc/passwd", "http://host/x.tif", "C:\\x.tif"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, {}, "img_000000000_A_000.tif")
    frame = {"ChannelIndex": 1, "SliceIndex": 0, "FrameIndex": 0, "FileName": name}
    change(tmp_path / "metadata.txt", lambda told: told.update({"FrameKey-0-1-0": frame}))
    (error,) = errors(manifest_of(tmp_path))
    assert "not followed" in error
    assert repr(name) in error


@pytest.mark.parametrize("count", [-1, 10**9, "many", 1.5, True])
def test_absurd_counts_are_an_error_by_name(tmp_path: Path, count: object) -> None:
    write_micromanager_plate(tmp_path, replace(PLATE, wells=1, sites=1), Faults())
    write_folder(tmp_path / "bad", {"Frames": count}, "img_000000000_A_000.tif")
    (error,) = errors(manifest_of(tmp_path))
    assert error.startswith("bad/metadata.txt: ")
    assert f"Frames is {count!r}" in error


def test_deeply_nested_metadata_do_no_harm(tmp_path: Path) -> None:
    write_folder(tmp_path, {}, "img_000000000_A_000.tif", "img_000000000_B_000.tif")
    text = (tmp_path / "metadata.txt").read_text("utf-8").rstrip("}")
    (tmp_path / "metadata.txt").write_text(f'{text}}}, "x": {"[" * 100_000}', "utf-8")
    assert len(list(manifest_of(tmp_path).rows())) == 2


@pytest.fixture(scope="module")
def real_stacks(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    packed = shared_data / "micro-manager+micro-manager" / "VersionCompatTest"
    for path in packed.glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def test_real_stacks_are_placed_by_their_grid(real_stacks: Path) -> None:
    manifest = manifest_of(real_stacks)
    assert manifest.problems == []
    assert [info for _, info in sorted(manifest.sites.items())] == [
        SiteInfo(0, 0, 64, 64, "1-Pos_000_000"),
        SiteInfo(0, 1, 64, 64, "1-Pos_001_000"),
        SiteInfo(1, 1, 64, 64, "1-Pos_001_001"),
        SiteInfo(1, 0, 64, 64, "1-Pos_000_001"),
    ]
    assert list(manifest.channels) == ["Cy5", "DAPI"]
    assert len(list(manifest.rows())) == 4 * 8


def test_the_metadata_of_real_stacks_say_the_same(real_stacks: Path) -> None:
    rows = {
        (row.source_file, row.channel, row.zplane, row.tpoint): row
        for row in manifest_of(real_stacks).rows()
    }
    count = 0
    for path in real_stacks.glob("*_metadata.txt"):
        for key, frame in json.loads(path.read_text("utf-8")).items():
            if key.startswith("FrameKey"):
                tpoint, channel, zplane = map(int, key.split("-")[1:])
                row = rows[frame["FileName"], ("Cy5", "DAPI")[channel], zplane, tpoint]
                assert row.site.site == frame["PositionIndex"]
                assert row.stage_x_um == frame["XPositionUm"]
                assert row.stage_y_um == frame["YPositionUm"]
                assert row.time_stamp_s == frame["ElapsedTime-ms"] / 1000
                assert row.exposure_ms == frame["Exposure-ms"]
                count += 1
    assert count == len(rows)


def test_a_missing_real_stack_leaves_its_planes_absent(real_stacks: Path, tmp_path: Path) -> None:
    for path in real_stacks.iterdir():
        if "000_001.ome.tif" not in path.name:
            (tmp_path / path.name).hardlink_to(path)
    rows = list(manifest_of(tmp_path).rows())
    assert {row.site.site for row in rows if row.source_file is None} == {3}
    assert sum(row.source_file is None for row in rows) == 8
    assert len(rows) == 32


def test_a_stack_without_its_index_is_read_by_its_pages(real_stacks: Path, tmp_path: Path) -> None:
    for path in real_stacks.glob("*.ome.tif"):
        content = bytearray(path.read_bytes())
        content[8:12] = bytes(4)
        (tmp_path / path.name).write_bytes(content)
    assert [row.ref for row in manifest_of(tmp_path).rows()] == [
        row.ref for row in manifest_of(real_stacks).rows()
    ]


def test_an_index_that_lies_is_an_error(real_stacks: Path, tmp_path: Path) -> None:
    for path in real_stacks.glob("*.ome.tif"):
        content = bytearray(path.read_bytes())
        index = int.from_bytes(content[12:16], "little") + 8
        content[index] = 1 - content[index]
        (tmp_path / path.name).write_bytes(content)
    with pytest.raises(Exception, match="by its own metadata, but"):
        manifest_of(tmp_path)
