"""Registering what Bio-Formats opens: real files against their truth, and plates made up."""

import gzip
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.readers.bioformats_process import shared_process
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest, ManifestRow, SiteKey
from tests.support import noise, ref_of, write_tiff

# Folders of the shared files that this type is not for.
NOT_HERE = ("fmi-faim+faim-ipa", "derived", "micro-manager+micro-manager")


def build(folder: Path, **options: Any) -> Manifest:
    # Types of our own would come first; they have their own tests.
    microscope = None if "pattern" in options else "bioformats"
    options = {"microscope": microscope, **options}
    return build_manifest(folder, ManifestOptions(**options), Settings())


def times_opened() -> int:
    opened = shared_process(Settings()).ask("counting", {"do": "stats"})["opened"]
    assert isinstance(opened, int)
    return opened


def errors(manifest: Manifest) -> list[str | None]:
    return [problem.file for problem in manifest.problems if problem.severity == "error"]


def key(row: ManifestRow) -> tuple[object, ...]:
    return row.site, row.channel, row.cycle, row.tpoint, row.zplane, row.acquisition


@pytest.fixture(scope="session")
def truth(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    """What Bio-Formats says of the series of each entry, by path."""
    lines = (shared_data / "planes.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return {
        entry["entry"]: entry["series"]
        for entry in entries
        if "error" not in entry and not entry["entry"].startswith(NOT_HERE)
    }


@pytest.fixture(scope="session")
def manifests(shared_data: Path) -> dict[str, Manifest]:
    """The manifest of each folder of real files."""
    return {
        folder.name: build(folder)
        for folder in sorted(shared_data.iterdir())
        if folder.is_dir() and folder.name not in NOT_HERE
    }


def test_every_known_plane_of_real_files_is_found(
    truth: dict[str, list[dict[str, Any]]], manifests: dict[str, Manifest]
) -> None:
    found: dict[str, list[ManifestRow]] = defaultdict(list)
    companions = set()
    for name, manifest in manifests.items():
        for row in manifest.rows():
            found[f"{name}/{row.source_file}"].append(row)
        companions |= {
            f"{name}/{file.path}" for one in manifest.data_sets for file in one.companions
        }
    assert len(truth) > 45
    for entry, series in truth.items():
        if entry in companions:
            continue  # One more way into a data set that has a better entry.
        assert planes_of(found[entry]) == expected_planes(series), entry


def planes_of(rows: list[ManifestRow]) -> list[tuple[object, ...]]:
    channels: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for row in rows:
        names = channels[ref_of(row).series]
        names.setdefault(row.channel, len(names))
    return [
        (
            ref_of(row).series,
            ref_of(row).plane,
            (row.zplane, channels[ref_of(row).series][row.channel], row.tpoint),
            (row.height, row.width, row.dtype),
        )
        for row in rows
    ]


def expected_planes(series: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (index, plane["i"], tuple(plane["zct"]), (one["y"], one["x"], one["dtype"]))
        for index, one in enumerate(series)
        for plane in one["planes"]
    ]


def test_no_two_planes_of_real_files_are_the_same(manifests: dict[str, Manifest]) -> None:
    for name, manifest in manifests.items():
        keys = [key(row) for row in manifest.rows()]
        assert len(set(keys)) == len(keys), name
        assert errors(manifest) == [], name
        cells = [(site.plate, site.well, at.y, at.x) for site, at in manifest.sites.items()]
        assert len(set(cells)) == len(cells), name


def test_every_real_file_is_accounted_for_once(
    shared_data: Path, manifests: dict[str, Manifest]
) -> None:
    for name, manifest in manifests.items():
        files = [file.path for one in manifest.data_sets for file in (one.entry, *one.companions)]
        on_disk = {
            path.relative_to(shared_data / name).as_posix()
            for path in (shared_data / name).rglob("*")
            if path.is_file()
        }
        assert sorted(files) == sorted(on_disk), name


def test_an_operetta_plate_is_opened_through_its_index(manifests: dict[str, Manifest]) -> None:
    manifest = manifests["leukemia-kispi+operetta-compose"]
    (data_set,) = manifest.data_sets
    assert data_set.entry.path == "operetta_plate/Images/Index.idx.xml"
    assert not data_set.entry.holds_pixels
    assert [file.path for file in data_set.companions if file.holds_pixels] == [
        "operetta_plate/Images/r03c03f01p01-ch1sk1fk1fl1.tiff",
        "operetta_plate/Images/r03c03f02p01-ch1sk1fk1fl1.tiff",
    ]
    rows = list(manifest.rows())
    assert [row.site for row in rows] == [SiteKey("Test_Sample_BALL", "C03", n) for n in (0, 1)]
    assert [(site.y, site.x) for site in manifest.sites.values()] == [(0, 0), (0, 1)]
    assert rows[0].channel == "Fluorescein (FITC)"
    assert rows[0].pixel_size_x_um == pytest.approx(1.19595, abs=1e-5)
    assert rows[0].exposure_ms == pytest.approx(6.0)
    assert manifest.channels["Fluorescein (FITC)"].emission_nm == 525.0


def test_an_operetta_folder_opens_bioformats_at_most_twice(shared_data: Path) -> None:
    before = times_opened()
    build(shared_data / "leukemia-kispi+operetta-compose")
    assert times_opened() - before <= 2


def test_a_prairie_folder_is_opened_through_its_xml(manifests: dict[str, Manifest]) -> None:
    manifest = manifests["swharden+ScanAGator"]
    sets = {Path(one.entry.path).name: one for one in manifest.data_sets}
    scan = sets["LineScan-03142018-1454-2042.xml"]
    assert sum(file.holds_pixels for file in scan.companions) == 2
    assert len(sets) == 7
    rows = [row for row in manifest.rows() if row.source_file == scan.entry.path]
    assert [(row.channel, row.height, row.width) for row in rows] == [
        ("Ch1", 1000, 70),
        ("Ch2", 1000, 70),
    ]


def test_all_positions_of_a_micromanager_folder_are_found(
    shared_data: Path, tmp_path: Path
) -> None:
    packed = shared_data / "micro-manager+micro-manager" / "VersionCompatTest"
    for file in packed.glob("*.gz"):
        with gzip.open(file) as source, (tmp_path / file.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    manifest = build(tmp_path, plate="P", microscope="bioformats")
    (data_set,) = manifest.data_sets
    assert data_set.entry.path == "1.4compatTest_3_MMStack_1-Pos_000_000.ome.tif"
    assert len(data_set.companions) == 3
    assert len(list(manifest.rows())) == 4 * 8
    grid = {site.name: (site.y, site.x) for site in manifest.sites.values()}
    # The name counts column before row.
    assert grid == {
        f"1.4compatTest_3_MMStack_1-Pos_00{x}_00{y}": (y, x) for y in (0, 1) for x in (0, 1)
    }
    row = next(manifest.rows())
    assert (row.channel, row.stage_x_um, row.time_stamp_s) == ("Cy5", -32.0, 0.441)


def test_packed_files_are_an_error_that_says_to_unpack_them(shared_data: Path) -> None:
    with pytest.raises(RegistrationError, match=r"none of its 9 files .* unpack it"):
        build(shared_data / "micro-manager+micro-manager")


def test_the_plates_of_an_ome_tiff_are_read(shared_data: Path, tmp_path: Path) -> None:
    name = "6x4y1z1t1c8b-swatch-2s2p4w2ws.ome.tiff"
    shutil.copy(shared_data / "ome+bioformats" / name, tmp_path / name)
    manifest = build(tmp_path, plate="swatch")
    sites = defaultdict(set)
    for row in manifest.rows():
        sites[row.site.plate, row.site.well].add((row.acquisition, row.site.site))
    assert {plate for plate, _ in sites} == {"swatch_0", "swatch_1"}
    assert {well for _, well in sites} == {"B02", "B03", "C02", "C03"}
    assert sum(len(found) for found in sites.values()) == 22
    assert sites["swatch_0", "B02"] == {("acquisition_0", 0), ("acquisition_1", 0)}
    assert sites["swatch_0", "C02"] == {
        ("acquisition_0", 0),
        ("acquisition_1", 0),
        ("acquisition_2", 0),
        ("acquisition_2", 1),
        ("acquisition_2", 2),
    }


def fake(folder: Path, name: str = "fake", **sizes: object) -> Path:
    """An empty file of this name is a plate to Bio-Formats."""
    text = "&".join([name, *(f"{option}={value}" for option, value in sizes.items())])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{text}.fake"
    path.touch()
    return path


@pytest.mark.parametrize("order", ["XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ"])
def test_planes_are_labelled_by_the_order_of_dimensions(tmp_path: Path, order: str) -> None:
    fake(tmp_path, sizeZ=4, sizeC=2, sizeT=3, dimOrder=order, sizeX=16, sizeY=8)
    rows = list(build(tmp_path).rows())
    sizes = {"Z": 4, "C": 2, "T": 3}
    for row in rows:
        at = {"Z": row.zplane, "C": int(row.channel.removeprefix("channel_")), "T": row.tpoint}
        first, second, third = tuple(order[2:])
        index = at[first] + sizes[first] * (at[second] + sizes[second] * at[third])
        assert ref_of(row).plane == index
    assert len({key(row) for row in rows}) == 24


def test_a_plate_has_its_wells_fields_and_acquisitions(tmp_path: Path) -> None:
    fake(
        tmp_path,
        plates=2,
        plateAcqs=2,
        plateRows=3,
        plateCols=2,
        fields=3,
        sizeC=2,
        sizeX=16,
        sizeY=16,
    )
    manifest = build(tmp_path)
    assert {site.plate for site in manifest.sites} == {"Plate Name 0", "Plate Name 1"}
    assert {site.well for site in manifest.sites} == {"A01", "A02", "B01", "B02", "C01", "C02"}
    assert {site.site for site in manifest.sites} == {0, 1, 2}
    rows = list(manifest.rows())
    assert len({(row.site.plate, row.acquisition) for row in rows}) == 2 * 2
    assert len({key(row) for row in rows}) == len(rows) == 2 * 2 * 6 * 3 * 2


def test_plates_of_the_same_name_go_on_with_the_next_site(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fake(tmp_path, name, plates=1, plateRows=1, plateCols=1, fields=2, sizeX=16, sizeY=16)
    manifest = build(tmp_path)
    assert sorted(manifest.sites) == [SiteKey("Plate Name 0", "A01", n) for n in range(4)]
    assert errors(manifest) == []


def test_a_large_plate_has_wells_of_two_letters(tmp_path: Path) -> None:
    fake(tmp_path, plates=1, plateRows=32, plateCols=48, fields=1, sizeX=4, sizeY=4)
    manifest = build(tmp_path)
    assert len(manifest.sites) == 1536
    assert SiteKey("Plate Name 0", "AF48", 0) in manifest.sites
    assert errors(manifest) == []


def test_samples_of_colour_planes_are_channels(tmp_path: Path) -> None:
    fake(tmp_path, sizeC=6, rgb=3, sizeX=16, sizeY=16)
    rows = list(build(tmp_path).rows())
    assert [ref_of(row).plane for row in rows] == list(range(6))
    assert len({row.channel for row in rows}) == 6


def test_the_names_given_are_used(tmp_path: Path) -> None:
    fake(tmp_path, sizeX=16, sizeY=16)
    (row,) = build(tmp_path, plate="P", acquisition="day 2", cycle=3).rows()
    assert (row.site.plate, row.acquisition, row.cycle) == ("P", "day 2", 3)


def test_a_folder_of_a_type_that_cannot_be_stored_says_so(tmp_path: Path) -> None:
    fake(tmp_path, pixelType="bit", sizeX=16, sizeY=16)
    with pytest.raises(RegistrationError, match="series 0 has pixels of type bit: left out"):
        build(tmp_path)


def test_a_file_that_fails_is_named_and_the_others_go_on(shared_data: Path, tmp_path: Path) -> None:
    fake(tmp_path, "good", sizeX=16, sizeY=16)
    fake(tmp_path, "bad", pixelType="nonsense")
    (tmp_path / "noise.tif").write_bytes(b"II*\0" + b"\xff" * 60)
    (tmp_path / "noise.czi").write_bytes(b"no microscope wrote this")
    (tmp_path / "empty.nd2").touch()
    (tmp_path / "notes.txt").write_text("a note")
    manifest = build(tmp_path)
    assert {row.source_file for row in manifest.rows()} == {"good&sizeX=16&sizeY=16.fake"}
    named = {problem.file: problem.severity for problem in manifest.problems}
    assert named == {
        "bad&pixelType=nonsense.fake": "warning",
        "noise.tif": "warning",
        "noise.czi": "warning",
        "empty.nd2": "warning",
        None: "warning",
    }


def test_a_folder_without_microscope_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a note")
    (tmp_path / "noise.czi").write_bytes(b"no microscope wrote this")
    with pytest.raises(RegistrationError, match=r"none of its 2 files .*noise\.czi"):
        build(tmp_path)


def test_a_companion_file_stands_for_its_images(tmp_path: Path) -> None:
    companion_set(tmp_path, images=3)
    before = times_opened()
    manifest = build(tmp_path, microscope="bioformats")
    assert times_opened() - before == 2
    (data_set,) = manifest.data_sets
    assert data_set.entry.path == "set.companion.ome"
    assert sorted(file.path for file in data_set.companions) == ["t0.tif", "t1.tif", "t2.tif"]
    assert [row.tpoint for row in manifest.rows()] == [0, 1, 2]


def test_an_image_that_an_ome_set_misses_is_named(tmp_path: Path) -> None:
    companion_set(tmp_path, images=3)
    (tmp_path / "t1.tif").unlink()
    warned = [problem.text for problem in build(tmp_path, microscope="bioformats").problems]
    assert any("Missing file t1.tif" in text for text in warned)
    rows = list(build(tmp_path, microscope="ometiff").rows())
    assert [row.source_file for row in rows] == ["t0.tif", None, "t2.tif"]


def test_an_image_that_an_operetta_plate_misses_is_told(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "leukemia-kispi+operetta-compose", tmp_path / "copy")
    (tmp_path / "copy/operetta_plate/Images/r03c03f02p01-ch1sk1fk1fl1.tiff").unlink()
    manifest = build(tmp_path / "copy")
    assert [row.source is None for row in manifest.rows()] == [False, True]
    warning, absence = manifest.problems
    assert warning.file == "operetta_plate/Images/Index.idx.xml"
    assert "Could not find valid TIFF file for series 1" in warning.text
    assert "absent (declared, but not there)" in absence.text


def test_images_of_which_only_the_names_tell_a_plate_are_told(tmp_path: Path) -> None:
    for name in ("p_A01_s1_w1.tif", "p_A01_s1_w2.tif", "p_B02_s1_w1.tif", "notes.tif"):
        write_tiff(tmp_path / name, noise(16, 24))
    manifest = build(tmp_path)
    assert {row.site.well for row in manifest.rows()} == {"A01"}
    (problem,) = manifest.problems
    assert problem.text.startswith("3 images, such as this, are named as those of a plate")
    assert "--pattern bbbc021" in problem.text


def companion_set(folder: Path, images: int) -> None:
    """An OME data set of one TIFF per time point, described by a file of its own."""
    uuids = [f"urn:uuid:00000000-0000-4000-8000-{number:012d}" for number in range(images + 1)]
    parts = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="t{t}.tif">{uuids[t]}'
        "</UUID></TiffData>"
        for t in range(images)
    )
    namespace = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    (folder / "set.companion.ome").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><OME {namespace} UUID="{uuids[-1]}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        f'SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="{images}">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{parts}</Pixels></Image></OME>',
        encoding="utf-8",
    )
    for t in range(images):
        description = (
            f'<?xml version="1.0" encoding="UTF-8"?><OME {namespace} UUID="{uuids[t]}">'
            f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{uuids[-1]}"/></OME>'
        )
        pixels = np.full((6, 8), t, np.uint16)
        tifffile.imwrite(folder / f"t{t}.tif", pixels, description=description, metadata=None)


def test_numbered_plates_of_real_files_are_registered_by_pattern(shared_data: Path) -> None:
    manifest = build(
        shared_data / "CellProfiler+CellProfiler" / "ExampleSBSImages",
        pattern=r"Channel(?P<c>\d)-\d\d-(?P<wr>[A-P])-(?P<wc>\d\d)",
    )
    rows = list(manifest.rows())
    assert {(row.site.well, row.channel) for row in rows} == {
        (f"{letter}0{column}", channel)
        for letter in "AB"
        for column in (1, 2, 3)
        for channel in "12"
    }
    assert len(rows) == 12
    assert errors(manifest) == []


def test_stacks_contribute_the_planes_that_their_names_do_not_tell(shared_data: Path) -> None:
    folder = shared_data / "bigdataprocessor+bigdataprocessor2"
    rows = list(build(folder, pattern=r"C(?P<c>\d+)--T(?P<t>\d+)").rows())
    assert len(rows) == 2 * 6 * 50
    assert len({key(row) for row in rows}) == 600
    last = next(row for row in rows if str(row.source_file).endswith("C01--T00005.tif"))
    assert (last.channel, last.tpoint) == ("01", 5)


def test_a_dimension_told_by_name_and_file_is_an_error(shared_data: Path) -> None:
    folder = shared_data / "bigdataprocessor+bigdataprocessor2"
    with pytest.raises(RegistrationError, match="holds 50 zplanes, but its name tells one"):
        build(folder, pattern=r"C(?P<c>\d+)--T(?P<z>\d+)")


def test_a_movie_is_registered_by_pattern(shared_data: Path) -> None:
    folder = shared_data / "NEUBIAS+training-resources" / "mitocheck-movie"
    with pytest.raises(RegistrationError, match=r"'0002' is no well name"):
        build(folder, pattern=r"W(?P<w>\d{4})--P(?P<s>\d+)--T(?P<t>\d+)")
    manifest = build(folder, pattern=r"--P(?P<s>\d+)--T(?P<t>\d+)--Z(?P<z>\d+)")
    rows = list(manifest.rows())
    assert [(row.site.well, row.site.site, row.tpoint) for row in rows] == [
        ("A01", 0, t) for t in range(6)
    ]


def test_channels_of_a_colour_file_are_its_own(shared_data: Path) -> None:
    folder = shared_data / "haesleinhuepf+BioImageAnalysisNotebooks"
    rows = list(build(folder, pattern=r"_(?P<w>[A-P]\d\d)_s(?P<s>\d+)").rows())
    assert [(row.site.well, row.channel, ref_of(row).plane) for row in rows] == [
        ("A02", f"channel_{number}", number) for number in range(3)
    ]


def test_plain_tiffs_beside_a_set_of_another_type_are_registered(tmp_path: Path) -> None:
    lines = ('"NDInfoFile", Version 1.0', '"DoWave", FALSE', '"EndFile"', "")
    (tmp_path / "exp.nd").write_text("\r\n".join(lines), "utf-8", newline="")
    plane = np.arange(72, dtype="uint16").reshape(8, 9)
    plain: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
    tifffile.imwrite(tmp_path / "exp.tif", plane, **plain)
    tifffile.imwrite(tmp_path / "exp_overview.tif", np.stack([plane + 1, plane + 2]), **plain)
    manifest = build_manifest(tmp_path, ManifestOptions(), Settings())
    assert [(row.source_file, row.ref) for row in manifest.rows()] == [
        ("exp.tif", PlaneRef(0, 0)),
        ("exp_overview.tif", PlaneRef(0, 0)),
        ("exp_overview.tif", PlaneRef(0, 1)),
    ]
    entries = {one.entry.path: (one.reader, one.companions) for one in manifest.data_sets}
    assert entries["exp_overview.tif"] == ("tifffile", ())
