"""OME-TIFF of several files: every plane from the page that the OME-XML names."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import pytest
import tifffile

from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.readers.ome_tiff_data import parse_pages
from imextract.readers.tiff import TiffReader
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlateLayout
from imextract.simulation.ometiff import write_ometiff_plate
from tests.spelt_plates import compare, errors, manifest_of, warnings
from tests.support import noise, sha256, write_tiff
from tests.truth import true_planes

PLATE = PlateLayout(wells=2, sites=4, channels=2, zplanes=2, tpoints=2, height=24, width=32)
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
Edit = Callable[[str], str]


def ome(*blocks: str, sizes: str = 'SizeZ="1" SizeC="2" SizeT="1"', order: str = "XYCZT") -> str:
    return (
        f'<OME xmlns="{NAMESPACE}" UUID="urn:uuid:own"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="{order}" Type="uint16" SizeX="9" SizeY="8" {sizes}>'
        f"{''.join(blocks)}</Pixels></Image></OME>"
    )


def block(file: str | None = None, **numbers: int) -> str:
    told = "".join(f' {key}="{value}"' for key, value in numbers.items())
    uuid = f'<UUID FileName="{file}">urn:uuid:{file}</UUID>' if file else ""
    return f"<TiffData{told}>{uuid}</TiffData>"


def edit(path: Path, change: Edit) -> None:
    path.write_text(change(path.read_text("utf-8")), "utf-8")


def test_every_plane_of_a_plate_is_what_it_spells(tmp_path: Path) -> None:
    write_ometiff_plate(tmp_path, PLATE, Faults())
    manifest = manifest_of(tmp_path)
    assert manifest.microscope_type == "ometiff"
    assert manifest.problems == []
    assert len(compare(tmp_path, manifest, PLATE)["present"]) == PLATE.plane_count
    assert {(site.y, site.x) for site in manifest.sites.values()} == {
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    }
    assert manifest.sites[min(manifest.sites)].name == "B02, site 0"
    last = list(manifest.rows())[-1]
    assert (last.time_stamp_s, last.exposure_ms, last.pixel_size_z_um) == (60, 20, 1.5)


def test_a_newer_schema_is_named(tmp_path: Path) -> None:
    entry = write_ometiff_plate(tmp_path, PLATE, Faults())
    edit(entry, lambda text: text.replace("OME/2016-06", "OME/2031-01"))
    manifest = manifest_of(tmp_path)
    assert len(compare(tmp_path, manifest, PLATE)["present"]) == PLATE.plane_count
    (text,) = warnings(manifest)
    assert "schema 2031-01" in text


def test_the_one_index_that_is_refused_is_named(tmp_path: Path) -> None:
    entry = write_ometiff_plate(tmp_path, PLATE, Faults())
    edit(entry, lambda text: text[:-300])
    with pytest.raises(RegistrationError, match=f"{entry.name}: ometiff: the OME-XML cannot be"):
        manifest_of(tmp_path)


def test_faulty_planes_are_named_and_no_other_is_lost(tmp_path: Path) -> None:
    write_ometiff_plate(tmp_path, PLATE, Faults(absent=3, truncated=1))
    manifest = manifest_of(tmp_path)
    counts = {state: len(keys) for state, keys in compare(tmp_path, manifest, PLATE).items()}
    assert counts == {"present": PLATE.plane_count - 4, "absent": 3, "damaged": 1}
    assert errors(manifest) == []


def test_a_plane_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    write_ometiff_plate(tmp_path, PLATE, Faults(duplicated=1))
    (error,) = errors(manifest_of(tmp_path))
    assert "1 planes of this file are the same as of" in error


def test_garbage_in_place_of_an_image_leaves_its_plane_absent(tmp_path: Path) -> None:
    write_ometiff_plate(tmp_path, PLATE, Faults())
    victim = min(tmp_path.glob("*.tif"))
    victim.write_bytes(b"no image at all")
    manifest = manifest_of(tmp_path)
    assert len(compare(tmp_path, manifest, PLATE)["absent"]) == 1
    assert any("is no TIFF" in text for text in warnings(manifest))


@pytest.mark.parametrize("name", ["../x.tif", "/etc/x.tif", "http://host/x.tif"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    layout = replace(PLATE, wells=1, sites=1)
    entry = write_ometiff_plate(tmp_path, layout, Faults())
    victim = min(tmp_path.glob("*.tif")).name
    edit(entry, lambda text: text.replace(f'FileName="{victim}"', f'FileName="{name}"'))
    assert any(
        f"{name!r}" in text and "not followed" in text for text in errors(manifest_of(tmp_path))
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('SizeT="2"', 'SizeT="-2"'), "expected from 1"),
        (lambda text: text.replace('SizeT="2"', 'SizeT="99999999"'), "at most"),
        (lambda text: text.replace('"XYCZT"', '"XYZZZ"'), "dimension order"),
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (
            lambda text: text.replace("?><OME", '?><!DOCTYPE x [<!ENTITY a "b">]><OME'),
            "document type or entities",
        ),
    ],
)
def test_bad_metadata_is_an_error_by_name(tmp_path: Path, change: Edit, told: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
        entry = write_ometiff_plate(folder, replace(PLATE, wells=1, sites=1), Faults())
    edit(entry, change)
    for path in bad.glob("*.tif"):
        path.unlink()
    (error,) = errors(manifest_of(tmp_path))
    assert error.startswith("bad/Simulated.companion.ome: ")
    assert told in error


def test_files_that_name_each_other_are_one_set(tmp_path: Path) -> None:
    pixels = noise(2, 8, 9)
    blocks = [block(f"{name}.ome.tif", FirstC=c, IFD=0) for c, name in enumerate("ab")]
    for name, plane in zip("ab", pixels, strict=True):
        write_tiff(tmp_path / f"{name}.ome.tif", plane, description=ome(*blocks))
    rows = list(manifest_of(tmp_path).rows())
    assert [(row.channel, row.source_file) for row in rows] == [
        ("channel_0", "a.ome.tif"),
        ("channel_1", "b.ome.tif"),
    ]


def test_a_set_of_which_only_one_file_is_left_is_still_read(tmp_path: Path) -> None:
    blocks = [block(f"{name}.ome.tif", FirstC=c, IFD=0) for c, name in enumerate("ab")]
    text = ome(*blocks).replace("urn:uuid:own", "urn:uuid:a.ome.tif")
    write_tiff(tmp_path / "a.ome.tif", noise(8, 9), description=text)
    rows = list(manifest_of(tmp_path).rows())
    assert [row.source_file for row in rows] == ["a.ome.tif", None]


def test_a_renamed_file_is_known_by_its_identifier(tmp_path: Path) -> None:
    own = block("before.ome.tif", FirstC=0, IFD=0).replace(
        "urn:uuid:before.ome.tif", "urn:uuid:own"
    )
    text = ome(own, block("b.ome.tif", FirstC=1, IFD=0))
    write_tiff(tmp_path / "after.ome.tif", noise(8, 9), description=text)
    write_tiff(tmp_path / "b.ome.tif", noise(8, 9, seed=1), description=text)
    rows = list(manifest_of(tmp_path).rows())
    assert [row.source_file for row in rows] == ["after.ome.tif", "b.ome.tif"]


def test_a_file_that_is_told_by_its_identifier_alone_is_found(tmp_path: Path) -> None:
    other = "<TiffData FirstC='1' IFD='0'><UUID>urn:uuid:b</UUID></TiffData>"
    text = ome(block(FirstC=0, IFD=0), other)
    write_tiff(tmp_path / "a.ome.tif", noise(8, 9), description=text)
    own = ome(block(FirstC=1, IFD=0)).replace("urn:uuid:own", "urn:uuid:b")
    write_tiff(tmp_path / "whatever.ome.tif", noise(8, 9, seed=1), description=own)
    manifest = manifest_of(tmp_path, microscope="ometiff")
    assert [(row.channel, row.source_file) for row in manifest.rows()] == [
        ("channel_0", "a.ome.tif"),
        ("channel_1", "whatever.ome.tif"),
    ]
    assert manifest.problems == []


def test_an_identifier_that_no_file_has_is_told(tmp_path: Path) -> None:
    other = "<TiffData FirstC='1' IFD='0'><UUID>urn:uuid:gone</UUID></TiffData>"
    text = ome(block("a.ome.tif", FirstC=0, IFD=0), other)
    write_tiff(tmp_path / "a.ome.tif", noise(8, 9), description=text)
    (tmp_path / "set.companion.ome").write_text(text)
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["a.ome.tif", None]
    assert any("names a file only by urn:uuid:gone" in one for one in warnings(manifest))


def test_files_without_an_identifier_of_their_own_go_by_their_names(tmp_path: Path) -> None:
    blocks = [block(f"{name}.ome.tif", FirstC=c, IFD=0) for c, name in enumerate("ab")]
    text = ome(*blocks).replace(' UUID="urn:uuid:own"', "")
    for seed, name in enumerate(("a", "b", "copy of a")):
        write_tiff(tmp_path / f"{name}.ome.tif", noise(8, 9, seed=seed), description=text)
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["a.ome.tif", "b.ome.tif"]
    assert [one.file for one in manifest.problems] == ["copy of a.ome.tif"]


def test_a_plane_without_any_page_is_absent(tmp_path: Path) -> None:
    blocks = [block(f"{name}.ome.tif", FirstC=c, IFD=0) for c, name in enumerate("ab")]
    text = ome(*blocks, sizes='SizeZ="1" SizeC="3" SizeT="1"')
    for name in "ab":
        write_tiff(tmp_path / f"{name}.ome.tif", noise(8, 9), description=text)
    rows = list(manifest_of(tmp_path).rows())
    assert [row.source_file for row in rows] == ["a.ome.tif", "b.ome.tif", None]


def test_nothing_left_of_a_set_is_an_error(tmp_path: Path) -> None:
    write_ometiff_plate(tmp_path, replace(PLATE, wells=1, sites=1), Faults())
    for path in tmp_path.glob("*.tif"):
        path.unlink()
    with pytest.raises(RegistrationError, match="8 planes, but none of them can be read"):
        manifest_of(tmp_path)


def write_set(folder: Path, names: dict[str, str], told: dict[str, str], seed: int = 0) -> None:
    """Write files, by name and own identifier, that tell of others by identifier and name."""
    sizes = f'SizeZ="1" SizeC="{len(told)}" SizeT="1"'
    blocks = [
        f'<TiffData FirstC="{c}" IFD="0"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for c, (uuid, name) in enumerate(told.items())
    ]
    for number, (name, uuid) in enumerate(names.items()):
        text = ome(*blocks, sizes=sizes).replace("urn:uuid:own", uuid)
        write_tiff(folder / name, noise(8, 9, seed=seed + number), description=text)


def test_a_single_file_that_was_renamed_is_read_itself(tmp_path: Path) -> None:
    write_set(tmp_path, {"a.ome.tif": "u:0"}, {"u:0": "img.ome.tif"})
    write_set(tmp_path, {"b.ome.tif": "u:1"}, {"u:1": "img.ome.tif"}, seed=5)
    write_tiff(tmp_path / "img.ome.tif", noise(8, 9, seed=9), description=ome("<TiffData/>"))
    rows = list(manifest_of(tmp_path, microscope="ometiff").rows())
    assert sorted(row.source_file or "" for row in rows) == ["a.ome.tif", "b.ome.tif"]


def test_files_whose_metadata_file_is_missing_are_one_error(tmp_path: Path) -> None:
    text = f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="m.ome.tif" UUID="u:m"/></OME>'
    for number, name in enumerate("ab"):
        write_tiff(tmp_path / f"{name}.ome.tif", noise(8, 9, seed=number), description=text)
    with pytest.raises(RegistrationError, match=r"of 2 files is in 'm.ome.tif' \(u:m\), which is"):
        manifest_of(tmp_path)


@pytest.mark.parametrize("name", ["m.ome.tif", "z.ome.tif"])
def test_the_metadata_file_is_found_by_its_name_or_identifier(tmp_path: Path, name: str) -> None:
    told = {"u:m": name, "u:a": "a.ome.tif"}
    write_set(tmp_path, {"z.ome.tif": "u:m"}, told)
    text = f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="{name}" UUID="u:m"/></OME>'
    write_tiff(tmp_path / "a.ome.tif", noise(8, 9, seed=1), description=text)
    rows = list(manifest_of(tmp_path).rows())
    assert [row.source_file for row in rows] == ["z.ome.tif", "a.ome.tif"]


def test_of_two_sets_with_the_same_names_each_has_its_own_files(tmp_path: Path) -> None:
    names = ("s_c0.ome.tif", "s_c1.ome.tif")
    for number, prefix in enumerate("rs"):
        uuids = [f"u:{prefix}{c}" for c in (0, 1)]
        files = {f"{prefix}_c{c}.ome.tif": uuid for c, uuid in enumerate(uuids)}
        write_set(tmp_path, files, dict(zip(uuids, names, strict=True)), seed=7 * number)
    manifest = manifest_of(tmp_path)
    assert errors(manifest) == []
    found = [(row.acquisition, row.channel, row.source_file) for row in manifest.rows()]
    assert found == [
        (f"acquisition_{number}", f"channel_{c}", f"{prefix}_c{c}.ome.tif")
        for number, prefix in enumerate("rs")
        for c in (0, 1)
    ]


def test_a_file_with_another_identifier_is_not_taken(tmp_path: Path) -> None:
    told = {"u:s0": "s_c0.ome.tif", "u:s1": "s_c1.ome.tif"}
    write_set(tmp_path, {"s_c0.ome.tif": "u:s0"}, told)
    write_set(tmp_path, {"s_c1.ome.tif": "u:zz"}, {"u:zz": "s_c1.ome.tif"}, seed=5)
    manifest = manifest_of(tmp_path, microscope="ometiff")
    assert [row.source_file for row in manifest.rows()] == ["s_c0.ome.tif", None]
    told_once = [text for text in warnings(manifest) if "is u:zz, but s_c0.ome.tif" in text]
    assert len(told_once) == 1


def test_a_claimed_image_without_a_plane_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, {"a.ome.tif": ""}, {"u:0": "img.ome.tif"})
    write_set(tmp_path, {"img.ome.tif": ""}, {"u:1": "img.ome.tif"}, seed=5)
    manifest = manifest_of(tmp_path)
    assert [row.source_file for row in manifest.rows()] == ["img.ome.tif"]
    assert any("tells of no plane in this file" in text for text in warnings(manifest))


@pytest.mark.parametrize("axes", sorted(map("".join, permutations("ZCT"))))
def test_planes_follow_the_order_of_dimensions(axes: str) -> None:
    sizes = {"Z": 2, "C": 3, "T": 4}
    told = " ".join(f'Size{axis}="{size}"' for axis, size in sizes.items())
    (image,) = parse_pages(ome("<TiffData/>", sizes=told, order=f"XY{axes}")).images
    # The first axis varies fastest, so that it is the last of a product.
    expected = [
        dict(zip(reversed(axes), place, strict=True))
        for place in product(*(range(sizes[axis]) for axis in reversed(axes)))
    ]
    assert [
        {"Z": plane.zplane, "C": plane.channel, "T": plane.tpoint} for plane in image.planes
    ] == expected
    assert [plane.page for plane in image.planes] == list(range(24))


def test_a_block_without_a_count_is_one_plane_if_it_names_a_page() -> None:
    sizes = 'SizeZ="3" SizeC="1" SizeT="1"'
    (image,) = parse_pages(ome(block(FirstZ=1, IFD=7), sizes=sizes)).images
    assert [(plane.zplane, plane.page) for plane in image.planes] == [(1, 7)]
    (image,) = parse_pages(ome(block(FirstZ=1), sizes=sizes)).images
    assert [(plane.zplane, plane.page) for plane in image.planes] == [(1, 0), (2, 1)]


def test_numbers_from_one_are_understood() -> None:
    blocks = [block(FirstC=c, IFD=c - 1) for c in (1, 2)]
    (image,) = parse_pages(ome(*blocks)).images
    assert [(plane.channel, plane.page) for plane in image.planes] == [(0, 0), (1, 1)]


def test_planes_outside_the_image_are_ignored() -> None:
    (image,) = parse_pages(ome(block(FirstC=9, IFD=0), block(FirstC=0, IFD=0, PlaneCount=9))).images
    assert [plane.channel for plane in image.planes] == [0, 1]


@pytest.mark.parametrize(
    "entry",
    [
        "glencoesoftware+bioformats2raw/mini-flim-moduloC/mini-flim-moduloC.ome.tiff",
        "ome+bioformats/2008-09/18x24y5z5t2c8b-text.ome.tiff",
        "ome+bioformats/6x4y1z1t1c8b-swatch-2s2p4w2ws.ome.tiff",
    ],
)
def test_pages_of_real_files_hold_the_planes_of_the_truth(shared_data: Path, entry: str) -> None:
    truth = {
        (series, plane.zplane, plane.channel, plane.tpoint): plane.sha256
        for (name, series, _), plane in true_planes(shared_data, ()).items()
        if name == entry
    }
    with tifffile.TiffFile(shared_data / entry) as tiff:
        pages = parse_pages(str(tiff.pages.first.description))
    with TiffReader(shared_data / entry) as reader:
        found = {
            (series, plane.zplane, plane.channel, plane.tpoint): sha256(
                reader.read_plane(PlaneRef(0, plane.page))
            )
            for series, image in enumerate(pages.images)
            for plane in image.planes
        }
    assert found == truth


def test_real_stacks_of_micromanager_are_read_alike(shared_data: Path, tmp_path: Path) -> None:
    packed = shared_data / "micro-manager+micro-manager" / "VersionCompatTest"
    for path in packed.glob("*.ome.tif.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    planes = {
        microscope: {
            (row.site.site, row.channel, row.tpoint, row.zplane, row.source_file, row.ref)
            for row in manifest_of(tmp_path, microscope=microscope).rows()
        }
        for microscope in ("ometiff", "micromanager")
    }
    assert planes["ometiff"] == planes["micromanager"]
    assert len(planes["ometiff"]) == 32


def test_images_of_prairie_view_are_left_to_their_own_metadata(shared_data: Path) -> None:
    folder = shared_data / "swharden+ScanAGator" / "LineScan-03142018-1454-2042"
    with pytest.raises(RegistrationError, match="nothing in it was written by"):
        manifest_of(folder, microscope="ometiff")
