"""Plates with a missing, an empty, a foreign and a cut file: the good planes, and only these."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.extractor import ImageExtractor
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.simulation import Faults, PlaneKey, PlateLayout, expected_plane, read_stamp, simulate

LAYOUT = PlateLayout(wells=2, sites=2, channels=2, zplanes=1, tpoints=2, height=40, width=56)


def cut(path: Path) -> None:
    """Leave the directory whole, wherever it is, and not the pixels."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        end, size = page.dataoffsets[0] + page.databytecounts[0], path.stat().st_size
    if end == size:
        os.truncate(path, end - 100)
    else:
        os.truncate(path, size // 2)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b"\x89PNG" + path.read_bytes()[4:]),
    "cut": cut,
}


@dataclass(frozen=True)
class BrokenPlate:
    """A simulated plate, its damaged files by damage, and the planes that were in them."""

    folder: Path
    damaged: dict[str, Path]
    lost: set[PlaneKey]

    @classmethod
    def make(cls, folder: Path, microscope: str) -> "BrokenPlate":
        simulate(folder, microscope, LAYOUT)
        manifest = build_manifest(folder, ManifestOptions(), Settings())
        tiffs = sorted({folder / str(row.source_file) for row in manifest.rows()})
        # Not the first, which may hold the metadata of all.
        damaged = dict(zip(DAMAGES, tiffs[1 :: (len(tiffs) - 1) // len(DAMAGES)], strict=False))
        lost = {key for path in damaged.values() for key in keys_of(path)}
        for name, path in damaged.items():
            DAMAGES[name](path)
        return cls(folder, damaged, lost)


def keys_of(path: Path) -> list[PlaneKey]:
    with tifffile.TiffFile(path) as tiff:
        stamps = [read_stamp(page.asarray()) for page in tiff.pages]
    return [stamp for stamp in stamps if stamp is not None]


def settings_in(folder: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder}/ledger.db", storage_url=str(folder / "planes")
    )


def in_bytes(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


BY_BIOFORMATS = ("operetta", "cellvoyager", "ometiff", "incell")

# Bio-Formats gives another plane for one that is missing; of two alike neither is taken.
TAKES_ANOTHER = ("cellvoyager", "bioformats")


@pytest.mark.parametrize(
    ("microscope", "how"),
    [
        *(
            (name, None)
            for name in ("operetta", "imagexpress", "cellvoyager", "ometiff", "scanr", "incell")
        ),
        *((name, "bioformats") for name in ("operetta", "cellvoyager", "ometiff", "incell")),
    ],
)
def test_good_planes_are_stored_the_others_named_and_nothing_deleted(
    tmp_path: Path, microscope: str, how: str | None
) -> None:
    plate = BrokenPlate.make(tmp_path / "plate", microscope)
    before = in_bytes(plate.folder)
    settings = settings_in(tmp_path)
    request = RegistrationRequest(folder=plate.folder, name="broken", microscope=how, check=0)
    registered = register_folder(request, settings)
    assert registered.experiment_id is not None
    extractor = ImageExtractor(registered.experiment_id, settings)
    arguments = ImextractBatchArguments(delete=True)
    for batch in extractor.create_run_batches(arguments):
        extractor.run_job(batch)
    extractor.collect_job_output(extractor.create_collect_batch(arguments))

    found, told, absent = [], [], 0
    for image in ChannelImageFile.find(registered.experiment_id, settings):
        if image.record.state == "extracted":
            stamp = read_stamp(image.get())
            assert stamp is not None, image.record.name
            np.testing.assert_array_equal(image.get(), expected_plane(LAYOUT, stamp))
            record = image.record
            assert (record.well, record.site, record.tpoint) == (
                stamp.well,
                stamp.site,
                stamp.tpoint,
            )
            found.append(stamp)
        elif image.record.state == "failed":
            assert image.record.error is not None
            told.append(image.record.error)
        else:
            absent += 1
    good = set(LAYOUT.plane_keys()) - plate.lost
    assert len(set(found)) == len(found), "one plane stands for another"
    assert set(found) <= good
    assert len(good - set(found)) == ((microscope, how) == TAKES_ANOTHER)
    assert len(found) + len(told) + absent == LAYOUT.plane_count
    told.extend(f"{problem.file} {problem.text}" for problem in registered.problems)
    for name in ("empty", "foreign", "cut"):
        assert any(plate.damaged[name].name in text for text in told), name
    assert absent or any("invented" in text or "same pixels" in text for text in told)
    assert in_bytes(plate.folder) == before


@pytest.mark.parametrize("microscope", ["incell", "ometiff", "operetta"])
def test_a_plane_that_is_not_there_is_absent_by_bioformats_too_until_it_is(
    tmp_path: Path, microscope: str
) -> None:
    folder, settings = tmp_path / "plate", settings_in(tmp_path)
    simulate(folder, microscope, LAYOUT)
    # Not the first, which may hold the metadata of all.
    path = sorted(path for path in folder.rglob("*.tif*") if keys_of(path))[3]
    (lost,), content = keys_of(path), path.read_bytes()
    path.unlink()
    request = RegistrationRequest(folder=folder, name="x", microscope="bioformats", check=0)

    registered = register_folder(request, settings)

    assert registered.experiment_id is not None
    (absent,) = (
        image.record
        for image in ChannelImageFile.find(registered.experiment_id, settings)
        if image.record.state == "absent"
    )
    assert (absent.well, absent.site, absent.tpoint) == (lost.well, lost.site, lost.tpoint)
    assert any(problem.text.startswith("absent") for problem in registered.problems)
    path.write_bytes(content)
    written = register_folder(request, settings).written
    assert written is not None
    # Before anything is extracted, a data set that changed is planned anew.
    assert (written.added, written.filled) == (LAYOUT.plane_count - 1, 1)


def test_a_plate_that_bioformats_shifts_behind_a_missing_file_is_refused(tmp_path: Path) -> None:
    plate = BrokenPlate.make(tmp_path / "plate", "scanr")
    request = RegistrationRequest(folder=plate.folder, name="x", microscope="bioformats", check=0)
    with pytest.raises(RegistrationError, match="register with --microscope scanr"):
        register_folder(request, settings_in(tmp_path))


def test_an_imagexpress_plate_of_which_bioformats_finds_no_files_is_refused(
    tmp_path: Path,
) -> None:
    layout = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, height=32, width=48)
    simulate(tmp_path / "plate", "imagexpress", layout, Faults(absent=2))
    request = RegistrationRequest(
        folder=tmp_path / "plate", name="x", microscope="bioformats", check=0
    )
    with pytest.raises(RegistrationError, match="register with --microscope imagexpress"):
        register_folder(request, settings_in(tmp_path))
