"""Whatever metadata name, nothing outside of the registered folder is read."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from imextract.config import Settings
from imextract.database.models import MicroscopeImageFileRow
from imextract.errors import ImextractError, RegistrationError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.bioformats import BioFormatsReader
from imextract.registration.register import RegistrationRequest, register_folder
from tests.experiments import make_experiment
from tests.integration.test_bioformats_faults import SIZE, Listener, listener, ome_xml
from tests.support import noise, write_tiff

__all__ = ["listener"]


class Outside:
    """A TIFF in a folder beside the one that is registered."""

    def __init__(self, folder: Path) -> None:
        self.common = folder
        self.pixels: PixelArray = noise(SIZE, SIZE, seed=4)
        self.registered = folder / "registered"
        self.registered.mkdir()
        (folder / "secret").mkdir()
        self.canary = write_tiff(folder / "secret" / "canary.tif", self.pixels)

    def leaks(self, entry: Path, folder: Path, settings: Settings) -> bool:
        """Whether a plane that is read through an entry is the canary's."""
        try:
            with BioFormatsReader(entry, settings, (), folder) as reader:
                planes = range(reader.structure[0].plane_count)
                return any(self._is_canary(reader, plane) for plane in planes)
        except ImextractError:
            return False

    def _is_canary(self, reader: BioFormatsReader, plane: int) -> bool:
        try:
            return np.array_equal(reader.read_plane(PlaneRef(0, plane)), self.pixels)
        except ImextractError:
            return False


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


def companion(outside: Outside) -> Path:
    """An OME-XML that names a file by way of its parent."""
    path = outside.registered / "set.companion.ome"
    path.write_text(ome_xml(["../secret/canary.tif"]))
    return path


def ome_tiff(outside: Outside) -> Path:
    """An OME-TIFF whose second channel lies in another file."""
    path = outside.registered / "first.ome.tif"
    text = ome_xml([path.name, "../secret/canary.tif"])
    return write_tiff(path, noise(SIZE, SIZE, seed=5), description=text)


def pattern(outside: Outside) -> Path:
    """A file of one line, the absolute path of another."""
    path = outside.registered / "set.pattern"
    path.write_text(str(outside.canary))
    return path


def link(outside: Outside) -> Path:
    """An OME-XML that names a file beside it, which leads elsewhere."""
    (outside.registered / "link.tif").symlink_to(outside.canary)
    path = outside.registered / "set.companion.ome"
    path.write_text(ome_xml(["link.tif"]))
    return path


@pytest.mark.parametrize("named_by", [companion, ome_tiff, pattern, link])
def test_what_metadata_name_is_read_in_the_folder_only(
    outside: Outside, reader_settings: Settings, named_by: Callable[[Outside], Path]
) -> None:
    entry = named_by(outside)
    assert not outside.leaks(entry, outside.registered, reader_settings)
    # The trap works: with leave to read both folders, Bio-Formats follows the name.
    assert outside.leaks(entry, outside.common, reader_settings)


@pytest.mark.parametrize("named_by", [companion, ome_tiff, pattern, link])
def test_a_folder_whose_metadata_lead_out_gives_no_plane_of_elsewhere(
    outside: Outside, reader_settings: Settings, named_by: Callable[[Outside], Path]
) -> None:
    named_by(outside)
    request = RegistrationRequest(folder=outside.registered, name="x", dry_run=True)
    try:
        manifest = register_folder(request, reader_settings).manifest
    except RegistrationError:
        return
    assert any("outside" in problem.text for problem in manifest.problems)
    for data_set in manifest.data_sets:
        entry = outside.registered / data_set.entry.path
        assert not outside.leaks(entry, outside.registered, reader_settings)


def test_a_name_that_is_a_url_is_not_asked_for(
    outside: Outside, reader_settings: Settings, listener: Listener
) -> None:
    path = outside.registered / "set.pattern"
    path.write_text(f"{listener.address}/image.tif")
    assert not outside.leaks(path, outside.common, reader_settings)
    assert listener.asked == []


def test_an_original_that_a_link_replaced_is_not_followed(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=1, zplanes=1)
    original, *_ = experiment.originals()
    seen = original.stat()
    elsewhere = original.rename(tmp_path / "elsewhere.tif")
    original.symlink_to(elsewhere)
    assert original.stat().st_mtime_ns == seen.st_mtime_ns
    failures = [text for batch in experiment.extract() for text in batch.failures]
    assert len(failures) == 1
    assert "outside of the registered folder" in failures[0]


def test_a_path_that_someone_wrote_into_the_ledger_is_not_followed(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=1, zplanes=1)
    original, *_ = experiment.originals()
    os.rename(original, tmp_path / "elsewhere.tif")  # noqa: PTH104  keeps its time
    row = MicroscopeImageFileRow
    with experiment.database.transaction() as session:
        stolen = update(row).where(row.path == original.name).values(path="../elsewhere.tif")
        session.execute(stolen)
    failures = [text for batch in experiment.extract() for text in batch.failures]
    assert len(failures) == 1
    assert "outside of the registered folder" in failures[0]
