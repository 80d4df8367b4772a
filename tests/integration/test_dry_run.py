"""A dry run asks the ledger as a registration does, and leaves no trace in it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.database.planes import find_planes
from imextract.database.session import Database
from imextract.errors import ImextractError
from imextract.experiments import list_experiments
from imextract.registration.manifest import Problem
from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)
from tests.support import noise, write_tiff

PATTERN = r"(?P<w>[A-P]\d\d)_s(?P<s>\d+)\.tif"
OTHER_PATTERN = r"(?P<w>[A-P]\d\d)_s(?P<t>\d+)\.tif"

Change = Callable[[Path], dict[str, object]]


def write(folder: Path, *names: str, height: int = 6) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        write_tiff(folder / f"{name}.tif", noise(height, 8, seed=sum(name.encode())))


def register(folder: Path, settings: Settings, **more: object) -> RegistrationResult:
    given: dict[str, object] = {"name": "first", "pattern": PATTERN, "check": 0, "plate": "P"}
    return register_folder(RegistrationRequest(folder=folder, **(given | more)), settings)  # type: ignore[arg-type]  # names are its fields


def errors(result: RegistrationResult) -> list[str]:
    return [problem.text for problem in result.problems if problem.severity == "error"]


def contents(settings: Settings) -> list[object]:
    found = [experiment.experiment_id for experiment in list_experiments(settings)]
    database = Database(settings.database_url)
    return [plane for number in found for plane in find_planes(database, number)]


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """A folder that is registered."""
    folder = tmp_path / "plate"
    write(folder, "A01_s1", "A01_s3", "B01_s1")
    register(folder, settings)
    return folder


def unchanged(folder: Path) -> dict[str, object]:
    return {}


def added(folder: Path) -> dict[str, object]:
    write(folder, "A01_s4", "B02_s1")
    return {}


def added_between(folder: Path) -> dict[str, object]:
    write(folder, "A01_s2")
    return {}


def vanished(folder: Path) -> dict[str, object]:
    (folder / "A01_s3.tif").unlink()
    return {}


def changed(folder: Path) -> dict[str, object]:
    write(folder, "A01_s3", height=9)
    return {}


def read_otherwise(folder: Path) -> dict[str, object]:
    return {"pattern": OTHER_PATTERN}


def name_of_another_folder(folder: Path) -> dict[str, object]:
    write(folder.with_name("other"), "A01_s1")
    return {"folder": folder.with_name("other")}


def unknown_experiment(folder: Path) -> dict[str, object]:
    return {"experiment": 7}


def acquisition_of_another_folder(folder: Path) -> dict[str, object]:
    return name_of_another_folder(folder) | {"experiment": 1}


def later_time_points(folder: Path) -> dict[str, object]:
    return acquisition_of_another_folder(folder) | {"acquisition": "A2"}


def new_experiment(folder: Path) -> dict[str, object]:
    return {"name": "second"}


CHANGES = (
    unchanged, added, added_between, vanished, changed, read_otherwise, name_of_another_folder,
    unknown_experiment, acquisition_of_another_folder, later_time_points, new_experiment,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_it_tells_what_registering_does(settings: Settings, folder: Path, change: Change) -> None:
    options = {"folder": folder, **change(folder)}
    before = contents(settings)
    dry = register(**options, settings=settings, dry_run=True)  # type: ignore[arg-type]  # as given
    assert contents(settings) == before
    refusal, done = attempt(options, settings)
    assert errors(dry) == refusal
    if done is not None:
        assert dry.problems == done.problems
        assert told(dry) == told(done)


def attempt(
    options: dict[str, object], settings: Settings
) -> tuple[list[str], RegistrationResult | None]:
    try:
        return [], register(**options, settings=settings)  # type: ignore[arg-type]  # as given
    except ImextractError as error:
        return [str(error)], None


def told(result: RegistrationResult) -> dict[str, object]:
    assert result.written is not None
    # Ids that a rehearsal took from a sequence are not given again.
    return asdict(result.written) | ({"experiment_id": 0} if result.written.is_new else {})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (unchanged, {"known": 3}),
        (added, {"added": 2, "known": 3}),
        (vanished, {"known": 2, "vanished_files": 1}),
        (changed, {"added": 1, "known": 2, "changed_files": 1}),
        (later_time_points, {"added": 1}),
        (new_experiment, {"added": 3, "is_new": True}),
    ],
)
def test_it_counts_what_is_new_known_vanished_and_changed(
    settings: Settings, folder: Path, change: Change, expected: dict[str, object]
) -> None:
    options = {"folder": folder, **change(folder)}
    dry = register(**options, settings=settings, dry_run=True)  # type: ignore[arg-type]  # as given
    nothing = dict.fromkeys(("added", "filled", "known", "vanished_files", "changed_files"), 0)
    assert {"is_new": False} | nothing | expected == {
        name: value for name, value in told(dry).items() if name != "experiment_id"
    }


def test_the_name_is_asked_for_even_when_planes_are_wrong(settings: Settings, folder: Path) -> None:
    other = folder.with_name("other")
    write(other, "A01_s1")
    (other / "again").mkdir()
    write_tiff(other / "again" / "A01_s1.tif", noise(6, 8))
    found = errors(register(other, settings, dry_run=True))
    assert any("the name 'first' is taken" in text for text in found)
    assert len(found) > 1


def test_it_makes_no_ledger(tmp_path: Path) -> None:
    folder, missing = tmp_path / "plate", tmp_path / "no such folder"
    write(folder, "A01_s1")
    settings = Settings(
        database_url=f"sqlite:///{missing / 'ledger.db'}", storage_url=str(missing / "planes")
    )
    result = register(folder, settings, dry_run=True)
    assert result.written is not None
    assert (result.written.is_new, result.written.added, result.problems) == (True, 1, [])
    assert not missing.exists()


def test_it_waits_for_no_writer_and_holds_up_none(settings: Settings, folder: Path) -> None:
    write(folder, "A01_s4")
    database = Database(settings.database_url)
    with database.transaction():
        result = register(folder, settings, dry_run=True)
    assert result.written is not None
    assert result.written.added == 1
    with database.rehearsing() as session:
        session.connection()
        register(folder, settings)
    assert len(contents(settings)) == 4


def test_a_ledger_that_cannot_be_reached_is_a_problem_beside_the_others(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "plate", tmp_path / "ledger.db"
    write(folder, "A01_s1")
    ledger.write_text("no database at all, but long enough to be taken for the file of one")
    settings = Settings(database_url=f"sqlite:///{ledger}", storage_url=str(tmp_path / "planes"))
    result = register(folder, settings, dry_run=True)
    assert result.problems == [Problem("error", None, result.problems[0].text)]
    assert "not a database" in result.problems[0].text
    assert result.counts["planned"] == 1
