"""Register a folder: read it, check it, write the plan of its planes to the ledger."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from imextract.config import Settings
from imextract.database.experiments import count_states
from imextract.database.models import PLANE_STATES
from imextract.database.registration import write_manifest
from imextract.errors import RegistrationError
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest, Problem
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
        default=None, description="Microscope type; found out from the folder by default."
    )
    pattern: str | None = Field(
        default=None,
        description="Regular expression with named groups for plain numbered files.",
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
    """

    experiment_id: int | None
    counts: dict[str, int]
    problems: list[Problem]
    manifest: Manifest


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
    settings = settings or Settings.from_environment()
    options = ManifestOptions(
        plate=request.plate,
        acquisition=request.acquisition,
        cycle=request.cycle,
        microscope=request.microscope,
        pattern=request.pattern,
    )
    # Not resolved: people want to see the path that they gave.
    folder = Path(os.path.abspath(request.folder))  # noqa: PTH100
    manifest = build_manifest(folder, options, settings)
    if request.dry_run:
        planned = _count_planes(manifest, request.projection)
        counts = {state: planned if state == "planned" else 0 for state in PLANE_STATES}
        return RegistrationResult(None, counts, manifest.problems, manifest)
    _refuse_errors(manifest)
    workplace = Workplace.of(settings, creates=True)
    with workplace.database.transaction() as session:
        experiment_id = write_manifest(
            session,
            manifest,
            name=request.name,
            experiment_id=request.experiment,
            projects=request.projection == "max",
        )
        counts = count_states(session, experiment_id)
    logger.info("registered %s as experiment %d: %s", request.folder, experiment_id, counts)
    return RegistrationResult(experiment_id, counts, manifest.problems, manifest)


def _refuse_errors(manifest: Manifest) -> None:
    errors = [problem for problem in manifest.problems if problem.severity == "error"]
    if not errors:
        return
    named = "; ".join(
        f"{problem.file}: {problem.text}" if problem.file else problem.text
        for problem in errors[:_MOST_NAMED]
    )
    more = f"; and {len(errors) - _MOST_NAMED} more" if len(errors) > _MOST_NAMED else ""
    raise RegistrationError(f"{manifest.folder}: not registered: {named}{more}")


def _count_planes(manifest: Manifest, projection: str | None) -> int:
    if projection is None:
        return sum(1 for _ in manifest.rows())
    return len(
        {(row.site, row.acquisition, row.cycle, row.channel, row.tpoint) for row in manifest.rows()}
    )
