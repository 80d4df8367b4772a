"""Register a folder: read it, check it, write the plan of its planes to the ledger."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from imextract.config import Settings
from imextract.database.experiments import count_states, get_experiment
from imextract.database.registration import find_experiment, write_manifest
from imextract.database.session import Database
from imextract.database.states import PLANE_STATES
from imextract.database.written import Written
from imextract.errors import LedgerError, RegistrationError, UnknownExperimentError
from imextract.lease import hold_lease, require_lease
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.checks import check_manifest
from imextract.registration.cross_check import cross_check
from imextract.registration.layouts import Layout
from imextract.registration.manifest import Manifest, Problem
from imextract.registration.manifest_file import correct_manifest, write_manifest_file
from imextract.registration.microscopes import AUTO
from imextract.separation import require_apart
from imextract.store import open_store
from imextract.workplace import Workplace

__all__ = ["RegistrationRequest", "RegistrationResult", "register_folder"]

logger = logging.getLogger(__name__)

_MOST_NAMED = 10


class RegistrationRequest(BaseModel):
    """What to register, and as what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(description="Folder of microscope files, read with all its sub-folders.")
    name: str = Field(min_length=1, max_length=200, description="Name of the experiment.")
    experiment: int | None = Field(
        default=None, ge=1, description="Add to this experiment instead of making a new one."
    )
    plate: str | None = Field(
        default=None, min_length=1, description="Name of the plate, where the files do not tell."
    )
    acquisition: str | None = Field(
        default=None, min_length=1, description="Name of the acquisition."
    )
    cycle: int = Field(default=0, ge=0, description="Multiplexing cycle, counted from zero.")
    microscope: str | None = Field(
        default=None,
        description="Microscope type; auto, as by default, finds it out from the folder's content.",
    )
    pattern: str | None = Field(
        default=None,
        description="Regular expression with named groups for plain numbered files, or the name "
        "of a ready one.",
    )
    layout: Layout | None = Field(
        default=None, description="How the stage went over the sites of a well."
    )
    rows: int | None = Field(default=None, ge=1, le=10_000, description="Rows of the layout.")
    columns: int | None = Field(default=None, ge=1, le=10_000, description="Columns of the layout.")
    check: int = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="Compare this many planes of each acquisition with Bio-Formats; 0 for none.",
    )
    manifest: Path | None = Field(
        default=None,
        description="CSV file of the planes: one that is there is taken in place of what the "
        "folder tells; one that is not is written, in a dry run only.",
    )
    projection: Literal["max"] | None = Field(
        default=None, description="Store one maximum projection instead of a z-stack."
    )
    dry_run: bool = Field(default=False, description="Show the manifest; write nothing.")


@dataclass(frozen=True, slots=True)
class RegistrationResult:
    """What was registered.

    Attributes
    ----------
    experiment_id
        None after a dry run.
    counts
        Planes of the experiment by state; of a dry run, those of the folder.
    problems
        What a person should know.
    manifest
        What the folder holds.
    written
        What that changed in the ledger, or would change; None where it is not known,
        because errors forbid registering.
    """

    experiment_id: int | None
    counts: dict[str, int]
    problems: list[Problem]
    manifest: Manifest
    written: Written | None


def register_folder(
    request: RegistrationRequest, settings: Settings | None = None
) -> RegistrationResult:
    """Register a folder of microscope files; all of it or, on an error, nothing.

    Raises
    ------
    RegistrationError
        If the folder cannot be registered as it is.
    UnknownExperimentError
        If `request.experiment` does not exist.
    ConfigError, LedgerError
    """
    settings = (settings or Settings.from_environment()).registering()
    options = ManifestOptions(
        plate=request.plate,
        acquisition=request.acquisition,
        cycle=request.cycle,
        microscope=None if request.microscope == AUTO else request.microscope,
        pattern=request.pattern,
        layout=request.layout,
        rows=request.rows,
        columns=request.columns,
    )
    _check_manifest_file(request)
    # Not resolved: people want to see the path that they gave.
    folder = Path(os.path.abspath(request.folder))  # noqa: PTH100
    require_apart([folder], open_store(settings.storage_url), Database(settings.database_url))
    manifest = build_manifest(folder, options, settings)
    if request.manifest is not None:
        is_taken = request.manifest.exists()
        _exchange_manifest(manifest, request.manifest)
        if is_taken:
            _refuse_overruled(request, manifest)
    manifest.problems.extend(cross_check(manifest, request.check, settings))
    if request.dry_run:
        counts = _count_planes(manifest, request.projection)
        written = _rehearse(request, manifest, settings)
        return RegistrationResult(None, counts, manifest.problems, manifest, written)
    _refuse_errors(manifest)
    workplace = Workplace.of(settings, creates=True)
    with _undisturbed(workplace.database, request, manifest) as session:
        written = _write(session, request, manifest)
        counts = count_states(session, written.experiment_id)
    experiment_id = written.experiment_id
    logger.info("registered %s as experiment %d: %s", request.folder, experiment_id, counts)
    return RegistrationResult(experiment_id, counts, manifest.problems, manifest, written)


def _rehearse(
    request: RegistrationRequest, manifest: Manifest, settings: Settings
) -> Written | None:
    """Write the manifest as a registration would, but keep nothing; note what forbids it."""
    try:
        with Database(settings.database_url).rehearsing() as session:
            if not _errors(manifest):
                return _write(session, request, manifest)
            # Planes that are wrong cannot be written; whether they may be at all is told now.
            find_experiment(session, manifest, request.name, request.experiment)
    except (RegistrationError, UnknownExperimentError, LedgerError) as error:
        manifest.problems.append(Problem("error", None, str(error)))
    return None


@contextmanager
def _undisturbed(
    database: Database, request: RegistrationRequest, manifest: Manifest
) -> Iterator[Session]:
    """Give a transaction in which nobody else works on the experiment, if there is one yet."""
    with database.reading() as session:
        known = find_experiment(session, manifest, request.name, request.experiment)
        experiment_id = None if known is None else known.id
    if experiment_id is None:
        with database.transaction() as session:
            yield session
        return
    with hold_lease(database, experiment_id, "imextract register") as lease:
        with database.transaction() as session:
            get_experiment(session, experiment_id, locks=True)
            require_lease(session, lease)
            yield session


def _write(session: Session, request: RegistrationRequest, manifest: Manifest) -> Written:
    return write_manifest(
        session,
        manifest,
        name=request.name,
        experiment_id=request.experiment,
        projects=request.projection == "max",
    )


def _errors(manifest: Manifest) -> list[Problem]:
    return [problem for problem in manifest.problems if problem.severity == "error"]


def _refuse_errors(manifest: Manifest) -> None:
    errors = _errors(manifest)
    if not errors:
        return
    named = "; ".join(
        f"{problem.file}: {problem.text}" if problem.file else problem.text
        for problem in errors[:_MOST_NAMED]
    )
    more = f"; and {len(errors) - _MOST_NAMED} more" if len(errors) > _MOST_NAMED else ""
    raise RegistrationError(f"{manifest.folder}: not registered: {named}{more}")


def _check_manifest_file(request: RegistrationRequest) -> None:
    """Refuse a file that is not there before the folder is read, which takes time."""
    file = request.manifest
    if file is not None and not request.dry_run and not file.is_file():
        raise RegistrationError(
            f"{file}: no such manifest; write one with --dry-run --manifest, correct it, and "
            "register with it"
        )


def _refuse_overruled(request: RegistrationRequest, manifest: Manifest) -> None:
    """Refuse options that the rows of a manifest contradict: they would silently do nothing."""
    rows = list(manifest.rows())
    if not rows:
        return
    given = [] if request.layout is None else ["layout"]
    if request.plate is not None and all(row.site.plate != request.plate for row in rows):
        given.append("plate")
    if request.acquisition is not None and all(r.acquisition != request.acquisition for r in rows):
        given.append("acquisition")
    # Cycle 0 is also what is not given.
    if request.cycle and all(row.cycle != request.cycle for row in rows):
        given.append("cycle")
    if given:
        options = ", ".join(f"--{name}" for name in given)
        raise RegistrationError(
            f"{request.manifest}: its rows tell otherwise than {options}; leave those out, or "
            "correct the columns"
        )


def _exchange_manifest(manifest: Manifest, file: Path) -> None:
    """Take the planes from a file that is there, else write them to it."""
    if not file.exists():
        write_manifest_file(manifest, file)
        return
    # What was wrong with the planes as the folder tells them may be right now; what could
    # not be told of others, the file decides by the lines that it has.
    before = frozenset(check_manifest(manifest))
    manifest.problems = [
        replace(problem, severity="warning")
        for problem in manifest.problems
        if problem not in before
    ]
    correct_manifest(manifest, file)
    manifest.problems.extend(check_manifest(manifest))


def _count_planes(manifest: Manifest, projection: str | None) -> dict[str, int]:
    counts = dict.fromkeys(PLANE_STATES, 0)
    if projection is None:
        for row in manifest.rows():
            counts["absent" if row.source is None else "planned"] += 1
        return counts
    is_there: dict[tuple[object, ...], bool] = {}
    for row in manifest.rows():
        key = row.site, row.acquisition, row.cycle, row.channel, row.tpoint
        is_there[key] = is_there.get(key, False) or row.source is not None
    counts["planned"] = sum(is_there.values())
    counts["absent"] = len(is_there) - counts["planned"]
    return counts
