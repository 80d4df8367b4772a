"""Folders as people and file systems make them, registered from the walk to the database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from imextract.config import Settings
from imextract.database.models import MicroscopeImageFileRow
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlateLayout
from imextract.simulation.registry import MICROSCOPES
from imextract.simulation.visiview import write_visiview_plate
from imextract.workplace import Workplace
from tests.spelt_plates import compare, errors, manifest_of, warnings
from tests.support import noise, write_tiff

PLATE = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, tpoints=1, height=24, width=32)
NAMES = {
    "spaces": "  a plate  ",
    "quotes": 'it\'s "quoted" `x` $(y)',
    "umlauts": "Fläche µm 測定",
    "newline": "two\nlines\ttab",
    "wildcards": "100%s [a-z]* {0} #?&",
    "dashes": "--name=x",
    "backslash": "back\\slash",
    "long": "n" * 255,
    "bytes": os.fsdecode(b"not \xff utf-8 \xe4"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path}/ledger.sqlite", storage_url=str(tmp_path / "storage")
    )


def register(folder: Path, settings: Settings) -> dict[str, int]:
    return register_folder(RegistrationRequest(folder=folder, name="x"), settings).counts


def registered_images(settings: Settings) -> set[str]:
    query = select(MicroscopeImageFileRow.path).where(MicroscopeImageFileRow.holds_pixels)
    with Workplace.of(settings).database.transaction() as session:
        return set(session.scalars(query))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_folder_of_any_name_is_registered(tmp_path: Path, settings: Settings, name: str) -> None:
    below = tmp_path / "registered" / name
    below.mkdir(parents=True)
    write_visiview_plate(below, PLATE, Faults())
    folder = tmp_path / "registered"
    assert len(compare(folder, manifest_of(folder), PLATE)["present"]) == PLATE.plane_count
    assert register(folder, settings)["planned"] == PLATE.plane_count
    paths = registered_images(settings)
    assert len(paths) == 4
    assert all((folder / path).is_file() for path in paths)


@pytest.mark.parametrize("name", [name for name in NAMES.values() if len(name) < 200], ids=str)
def test_files_of_any_name_are_registered(tmp_path: Path, settings: Settings, name: str) -> None:
    folder = tmp_path / "registered"
    folder.mkdir()
    lines = ['"NDInfoFile", Version 1.0', '"DoStage", TRUE', '"NStagePositions", 2', '"EndFile"']
    (folder / f"{name}.nd").write_text("\n".join(lines))
    for stage in (1, 2):
        write_tiff(folder / f"{name}_s{stage}.tif", noise(8, 9, seed=stage))
    assert register(folder, settings)["planned"] == 2
    assert all((folder / path).is_file() for path in registered_images(settings))
    assert registered_images(settings) == {f"{name}_s1.tif", f"{name}_s2.tif"}


def test_a_file_name_of_255_bytes_is_registered(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "registered"
    folder.mkdir()
    stem = "n" * (255 - len("_s1.tif"))
    lines = ['"NDInfoFile", Version 1.0', '"DoStage", TRUE', '"NStagePositions", 1', '"EndFile"']
    (folder / f"{stem}.nd").write_text("\n".join(lines))
    write_tiff(folder / f"{stem}_s1.tif", noise(8, 9))
    assert register(folder, settings)["planned"] == 1


def test_names_that_differ_in_case_are_two_files_and_are_told(tmp_path: Path) -> None:
    write_visiview_plate(tmp_path, PLATE, Faults())
    twin = min(tmp_path.glob("*.stk"))
    twin.with_suffix(".STK").write_bytes(twin.read_bytes())
    manifest = manifest_of(tmp_path)
    assert any("upper and lower case" in text for text in warnings(manifest))
    assert any("are the same as of" in text for text in errors(manifest))


def test_several_types_in_one_tree_are_each_read_and_told(tmp_path: Path) -> None:
    types = ("visiview", "micromanager", "ometiff")
    for name in types:
        (tmp_path / name).mkdir()
        MICROSCOPES[name](tmp_path / name, PLATE, Faults())
    manifest = manifest_of(tmp_path)
    assert len(list(manifest.rows())) == 3 * PLATE.plane_count
    assert errors(manifest) == []
    (told,) = [text for text in warnings(manifest) if "several microscope types" in text]
    assert all(name in told for name in types)


def test_metadata_of_a_newer_version_are_read_with_a_warning(tmp_path: Path) -> None:
    entry = write_visiview_plate(tmp_path, PLATE, Faults())
    entry.write_text(entry.read_text("utf-8").replace("Version 1.0", "Version 9.0"), "utf-8")
    manifest = manifest_of(tmp_path)
    assert any("version '9.0', known are" in text for text in warnings(manifest))
    assert len(compare(tmp_path, manifest, PLATE)["present"]) == PLATE.plane_count


_AS_USER = """
import json, os, sys
from pathlib import Path
from tests.spelt_plates import manifest_of
# Once beforehand: another user may not be able to read what Python loads when needed.
manifest_of(Path(sys.argv[1]) / "open")
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
manifest = manifest_of(Path(sys.argv[1]))
print(json.dumps([len(list(manifest.rows())), [[p.severity, p.file] for p in manifest.problems]]))
"""


def test_a_closed_folder_is_named_and_the_others_are_read(open_folder: Path) -> None:
    for name in ("closed", "open"):
        (open_folder / name).mkdir()
        write_visiview_plate(open_folder / name, PLATE, Faults())
    (open_folder / "closed").chmod(0)
    try:
        # Root reads everything, so that a process of less right has to look.
        said = subprocess.run(
            [sys.executable, "-c", _AS_USER, str(open_folder)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        (open_folder / "closed").chmod(0o755)
    assert json.loads(said) == [PLATE.plane_count, [["warning", "closed"]]]
