"""Storage, ledger and microscope files that lie in one another are refused by name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from imextract.config import Settings
from imextract.database.models import AcquisitionRow
from imextract.database.session import Database
from imextract.errors import ConfigError
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.separation import require_apart
from imextract.store import FolderStore
from tests.experiments import make_experiment, make_folder, settings_in
from tests.faults.disks import mounted

Way = Callable[[Path], Path]


def itself(folder: Path) -> Path:
    return folder


def below(folder: Path) -> Path:
    return folder / "not made" / "planes"


def by_its_parent(folder: Path) -> Path:
    return folder / ".." / folder.name / "planes"


def by_a_link(folder: Path) -> Path:
    link = folder.parent / "link"
    link.symlink_to(folder)
    return link / "planes"


def by_a_folder_that_is_a_link(folder: Path) -> Path:
    """A storage elsewhere, whose unfinished files are written into the folder."""
    storage = folder.parent / "storage"
    storage.mkdir()
    (storage / ".incoming").symlink_to(folder)
    return storage


WAYS = (itself, below, by_its_parent, by_a_link, by_a_folder_that_is_a_link)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "plate", sites=1, zplanes=1).folder


def attempt(folder: Path, settings: Settings, *, dry_run: bool = False) -> None:
    pattern = r"s(?P<s>\d)_c(?P<c>\d)_z(?P<z>\d)\.tif"
    request = RegistrationRequest(folder=folder, name="x", pattern=pattern, dry_run=dry_run)
    register_folder(request, settings)


def names(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_storage_among_microscope_files_is_refused_at_registration(
    tmp_path: Path, folder: Path, way: Way, dry_run: bool
) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'ledger.db'}", storage_url=str(way(folder))
    )
    before = names(tmp_path)
    with pytest.raises(ConfigError, match="let IMEXTRACT_STORAGE_URL name a place outside of it"):
        attempt(folder, settings, dry_run=dry_run)
    assert names(tmp_path) == before


@pytest.mark.parametrize("way", WAYS[1:4])
def test_a_ledger_among_microscope_files_is_refused_at_registration(
    tmp_path: Path, folder: Path, way: Way
) -> None:
    settings = settings_in(tmp_path, f"sqlite:///{way(folder)}")
    before = names(tmp_path)
    with pytest.raises(ConfigError, match="let IMEXTRACT_DATABASE_URL name a place outside of it"):
        attempt(folder, settings)
    assert names(tmp_path) == before


@pytest.mark.parametrize("way", [lambda f: f.parent, lambda f: f / ".." / ".." / f.parent.name])
def test_microscope_files_in_the_storage_are_refused_at_registration(
    tmp_path: Path, folder: Path, way: Way
) -> None:
    with pytest.raises(ConfigError, match="lies in the storage of planes"):
        attempt(folder, settings_in(tmp_path).model_copy(update={"storage_url": str(way(folder))}))


def test_places_side_by_side_are_accepted_whatever_begins_their_names(
    tmp_path: Path, folder: Path
) -> None:
    database = Database(f"sqlite:///{folder}.db")
    require_apart([folder], FolderStore(folder.with_name(f"{folder.name} 2")), database)
    attempt(folder, settings_in(tmp_path))


@pytest.mark.parametrize("inner", ["", "sub"])
def test_a_place_that_is_mounted_elsewhere_is_known(
    tmp_path: Path, folder: Path, inner: str
) -> None:
    (folder / inner).mkdir(exist_ok=True)
    other = tmp_path / "other name"
    other.mkdir()
    apart = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    with mounted(other, "--bind", str(folder / inner)):
        with pytest.raises(ConfigError, match="STORAGE_URL"):
            require_apart([folder], FolderStore(other / "planes"), apart)
        ledger = Database(f"sqlite:///{other / 'ledger.db'}")
        with pytest.raises(ConfigError, match="DATABASE_URL"):
            require_apart([folder], FolderStore(tmp_path / "planes"), ledger)
        with pytest.raises(ConfigError, match="lies in the storage"):
            require_apart([other], FolderStore(tmp_path / "plate" / inner / ".."), apart)


def test_storage_that_came_among_microscope_files_is_refused_before_a_run(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=1, zplanes=1)
    experiment.extract()
    inside = experiment.folder / "planes"
    shutil.move(experiment.settings.storage_url, inside)
    experiment.settings = experiment.settings.model_copy(update={"storage_url": str(inside)})
    before = names(experiment.folder)
    with pytest.raises(ConfigError, match="lies in this folder of microscope files"):
        experiment.extract()
    with pytest.raises(ConfigError, match="lies in this folder of microscope files"):
        experiment.extract(restart=True)
    with pytest.raises(ConfigError, match="lies in this folder of microscope files"):
        experiment.extractor.delete_previous_job_output(force=True)
    assert names(experiment.folder) == before


def test_a_cleanup_deletes_no_microscope_files_that_came_to_lie_among_stored_planes(
    tmp_path: Path,
) -> None:
    ours = make_experiment(tmp_path / "ours", sites=1, zplanes=1)
    ours.extract()
    theirs = make_experiment(tmp_path / "theirs", sites=1, zplanes=1, settings=ours.settings,
                             name="theirs")  # fmt: skip
    (key,) = (path for path in ours.store.root.iterdir() if path != ours.store.incoming)
    moved = key / "originals"
    os.rename(theirs.folder, moved)  # noqa: PTH104  as a person moves it
    with ours.database.transaction() as session:
        session.execute(
            update(AcquisitionRow)
            .where(AcquisitionRow.folder == str(theirs.folder))
            .values(folder=str(moved))
        )
    before = {path: path.read_bytes() for path in moved.iterdir()}

    with pytest.raises(ConfigError, match="lies in the storage of planes"):
        ours.extractor.delete_previous_job_output()

    assert {path: path.read_bytes() for path in moved.iterdir()} == before
