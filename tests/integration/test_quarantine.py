"""A plane that ends its process: named, given up, tried again when asked; no other is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from sqlalchemy import select, update

from imextract.batches import ImextractBatchArguments
from imextract.config import Settings
from imextract.database.models import BatchRow, BatchRunRow
from imextract.database.session import Database
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.side_process import ProcessLostError
from tests.experiments import make_experiment, pixels_of, settings_in
from tests.poison import poisoned

PATTERN = r"[a-z]+_(?P<w>[A-Z]\d\d)_s(?P<s>\d+)\.tif"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an experiment one file of which is poison."""
    folder = tmp_path / "originals"
    folder.mkdir()
    for site in range(6):
        name = "poison" if site == 2 else "plate"
        tifffile.imwrite(folder / f"{name}_A01_s{site}.tif", pixels_of(site, 0, 0))
    settings = settings_in(tmp_path)
    register_folder(RegistrationRequest(folder=folder, name="poison", pattern=PATTERN), settings)
    return settings


@pytest.fixture
def poison(tmp_path: Path) -> dict[str, str]:
    return poisoned(tmp_path / "poison")


def imextract(settings: Settings, poison: dict[str, str], *command: str) -> tuple[int, str]:
    """Run a command of one experiment, in a process that may die of it."""
    places = {
        "IMEXTRACT_DATABASE_URL": settings.database_url,
        "IMEXTRACT_STORAGE_URL": settings.storage_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", "imextract.cli.main", "1", *command],
        env=os.environ | places | poison, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_plane_that_ends_its_process_is_given_up_alone(
    settings: Settings, poison: dict[str, str]
) -> None:
    imextract(settings, poison, "init")
    assert imextract(settings, poison, "run")[0] == -signal.SIGSEGV

    code, said = imextract(settings, poison, "run")

    assert code == 1
    # Those before it were stored when the process died.
    assert "extracted" in said
    assert "1 failed" in said
    assert "poison_A01_s2.tif" in said
    assert "was ended by SIGSEGV, the next one was ended by SIGSEGV" in said
    assert imextract(settings, poison, "collect")[1].count("5 extracted, 1 failed") == 1


def test_what_is_known_to_be_deadly_ends_nobody_again(
    settings: Settings, poison: dict[str, str]
) -> None:
    imextract(settings, poison, "init")
    imextract(settings, poison, "run")
    imextract(settings, poison, "run")

    imextract(settings, poison, "init")
    code, said = imextract(settings, poison, "run")

    assert (code, "0 planes extracted, 0 already there, 1 failed" in said) == (1, True), said

    # Its cause is mended: running again tries again.
    imextract(settings, {}, "init")
    code, said = imextract(settings, {}, "run")
    assert (code, "1 planes extracted" in said) == (0, True), said


def test_no_plane_is_blamed_where_no_process_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_experiment(tmp_path, sites=1)
    batches = list(experiment.extractor.create_run_batches(ImextractBatchArguments()))
    with experiment.database.transaction() as session:
        session.execute(update(BatchRow).values(is_apart=True))
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(ProcessLostError, match="did not come up: it ended with 1"):
        experiment.extractor.run_job(batches[0])
    monkeypatch.undo()
    assert experiment.extractor.run_job(batches[0]).extracted == 4


def test_an_init_after_a_death_is_careful(settings: Settings, poison: dict[str, str]) -> None:
    imextract(settings, poison, "init")
    imextract(settings, poison, "run")
    imextract(settings, poison, "init")
    code, said = imextract(settings, poison, "run")
    assert (code, "1 failed" in said) == (1, True), said
    with Database(settings.database_url).reading() as session:
        assert set(session.scalars(select(BatchRunRow.state))) == {"lost", "done"}
