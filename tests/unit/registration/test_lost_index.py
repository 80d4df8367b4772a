"""A plate without its index is an error that says so; ordinary files are none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.build import build_manifest
from imextract.registration.files import find_files
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes import MICROSCOPES
from imextract.registration.options import ManifestOptions
from imextract.simulation import PlateLayout, simulate
from tests.support import noise, write_tiff

SMALL = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, height=64, width=64)
FOREIGN = b'<?xml version="1.0"?><notes><note>of mine</note></notes>'
NOTES = b"just some notes of mine"

# Each with its index, what else can be done without it, and what is said of a foreign one.
VENDORS = [
    ("cellvoyager", "MeasurementData.mlf", "--pattern yokogawa", "has no record of an image"),
    ("incell", "*.xdce", "--pattern incell", "expected an index of an IN Cell Analyzer"),
    ("metamorph", "*.nd", "--pattern or", "expected a file of MetaMorph"),
    ("micromanager", "metadata.txt", "--microscope bioformats", "expected a Summary"),
    ("operetta", "Index.idx.xml", "--pattern harmony", "expected an index of Harmony"),
    ("visiview", "*.nd", "--pattern or", "expected a file of MetaMorph"),
]
each_vendor = pytest.mark.parametrize(
    ("microscope", "index", "remedy", "said"), VENDORS, ids=[vendor[0] for vendor in VENDORS]
)


def build(folder: Path, **options: str) -> Manifest:
    return build_manifest(folder, ManifestOptions(**options), Settings())  # type: ignore[arg-type]  # names of fields


def without_index(
    folder: Path, microscope: str, index: str, change: Callable[[Path], object]
) -> Path:
    """Write a plate of images and an index only, and change its index."""
    simulate(folder / "plate", microscope, SMALL)
    for path in list(folder.rglob("*")):
        if path.match(index):
            change(path)
        elif path.suffix not in ("", ".tif", ".tiff", ".stk") or path.name.startswith(
            ("DC_", "SC_")
        ):
            path.unlink()
    return folder


@each_vendor
def test_a_missing_index_is_named(
    tmp_path: Path, microscope: str, index: str, remedy: str, said: str
) -> None:
    assert said
    folder = without_index(tmp_path, microscope, index, Path.unlink)

    with pytest.raises(RegistrationError, match=f"tells what they are is missing.*{remedy}"):
        build(folder)


@each_vendor
def test_an_empty_index_is_named(
    tmp_path: Path, microscope: str, index: str, remedy: str, said: str
) -> None:
    assert remedy
    assert said
    folder = without_index(tmp_path, microscope, index, lambda path: path.write_bytes(b""))

    with pytest.raises(RegistrationError, match=r"looks like the index of a plate, but is empty"):
        build(folder)


@each_vendor
def test_a_foreign_index_is_named(
    tmp_path: Path, microscope: str, index: str, remedy: str, said: str
) -> None:
    assert remedy
    folder = without_index(tmp_path, microscope, index, lambda path: path.write_bytes(FOREIGN))

    with pytest.raises(RegistrationError, match=said):
        build(folder)


@each_vendor
def test_notes_in_place_of_an_index_are_an_error(
    tmp_path: Path, microscope: str, index: str, remedy: str, said: str
) -> None:
    assert remedy
    assert said
    folder = without_index(tmp_path, microscope, index, lambda path: path.write_bytes(NOTES))

    with pytest.raises(RegistrationError):
        build(folder)


def test_an_index_of_a_common_name_is_known_by_the_images_beside_it(tmp_path: Path) -> None:
    entry = simulate(tmp_path / "plate", "operetta", SMALL).entry
    entry.rename(entry.with_name("Index.xml")).write_bytes(FOREIGN)

    with pytest.raises(RegistrationError, match=r"Index.xml: expected an index of Harmony"):
        build(tmp_path)


def test_a_foreign_descriptor_is_an_error_and_none_is_no_error(tmp_path: Path) -> None:
    entry = simulate(tmp_path / "plate", "scanr", SMALL).entry
    entry.write_bytes(FOREIGN)
    with pytest.raises(RegistrationError, match="expected the descriptor of a ScanR"):
        build(tmp_path)

    entry.unlink()
    assert len(list(build(tmp_path, microscope="scanr").rows())) == SMALL.plane_count


def test_a_plate_without_its_index_can_be_read_by_a_pattern(tmp_path: Path) -> None:
    simulate(tmp_path / "plate", "operetta", SMALL).entry.unlink()

    assert len(list(build(tmp_path, pattern="harmony").rows())) == SMALL.plane_count


def test_what_is_sound_beside_a_lost_plate_is_shown_with_the_error(tmp_path: Path) -> None:
    without_index(tmp_path, "operetta", "Index.idx.xml", Path.unlink)
    simulate(tmp_path / "sound", "visiview", SMALL)

    made = build(tmp_path)

    assert len(list(made.rows())) == SMALL.plane_count
    (problem,) = (problem for problem in made.problems if problem.severity == "error")
    assert problem.file is not None
    assert problem.file.startswith("plate/Images/r0")


@pytest.mark.parametrize(
    "names",
    [
        ("metadata.txt", "img_1_cell_2.tif", "img_000000_0.tif"),
        ("Index.xml", "photo.tif"),
        ("notes.nd", "notes.tif", "other_s1.tif"),
        ("cells_w1DAPI_s3_t2.tif", "cells_t1.tif", "MetamorphImage.stk"),
        ("r01c01.tif", "r01c01f01p01-ch1.tif"),
        ("A - 1.tif", "A - 1 (2).tif"),
        ("plate_A01_T01.tif", "well_D03_F001.tif"),
    ],
)
def test_ordinary_files_belong_to_nobody(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if name.endswith((".tif", ".stk")):
            write_tiff(tmp_path / name, noise(6, 8))
        else:
            (tmp_path / name).write_bytes(NOTES)

    found = find_files(tmp_path)

    own = set(MICROSCOPES) - {"bioformats", "pattern"}
    assert [claim for name in own for claim in MICROSCOPES[name].claim(found)] == []
