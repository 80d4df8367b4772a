"""The flow `register`: a folder of microscope files becomes a plan of planes."""

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from pydantic import Field

from flows.parameters import ExperimentId
from imextract.registration.layouts import Layout
from imextract.registration.register import RegistrationRequest, RegistrationResult
from tasks.register import register_planes

__all__ = ["EVENT", "register"]

Count = Annotated[int, Field(ge=1, le=10_000)]
EVENT = "imextract.experiment.registered"
MAX_ROWS = 500


@flow(name="register", flow_run_name="register-{name}", persist_result=False)
def register(
    folder: Path,
    name: Annotated[str, Field(min_length=1)],
    experiment: ExperimentId | None = None,
    plate: str | None = None,
    acquisition: str | None = None,
    cycle: Annotated[int, Field(ge=0)] = 0,
    microscope: str | None = None,
    pattern: str | None = None,
    layout: Layout | None = None,
    rows: Count | None = None,
    columns: Count | None = None,
    check: Annotated[int, Field(ge=0, le=1_000_000)] = 5,
    manifest: Path | None = None,
    projection: Literal["max"] | None = None,
    dry_run: bool = False,
) -> dict[str, int | None]:
    """Read a folder of microscope files and write the plan of its planes to the database.

    Args:
        folder: The folder, as the machine of the Prefect worker sees it; read recursively.
        name: Name of the experiment.
        experiment: Add to this experiment instead of making a new one.
        plate: Name of the plate, where the files do not tell.
        acquisition: Name of the acquisition, where the files do not tell.
        cycle: Multiplexing cycle, zero-based.
        microscope: Microscope type; empty or auto: found out from the folder's content.
        pattern: Regular expression with named groups (w, s, c, z, t) for plain numbered files,
            or the name of a ready one.
        layout: How the stage went over the sites of a well, where the files do not tell.
        rows: Rows of the layout.
        columns: Columns of the layout.
        check: Compare this many planes of each acquisition with Bio-Formats; 0 for none.
        manifest: CSV file of the planes, corrected, in place of what the folder tells; a dry
            run writes it where there is none.
        projection: max stores the maximum projection of each z-stack; empty keeps every plane.
        dry_run: Report the planes and problems of the folder, write nothing.
    """
    request = RegistrationRequest(
        folder=folder,
        name=name,
        experiment=experiment,
        plate=plate,
        acquisition=acquisition,
        cycle=cycle,
        microscope=microscope,
        pattern=pattern,
        layout=layout,
        rows=rows,
        columns=columns,
        check=check,
        manifest=manifest,
        projection=projection,
        dry_run=dry_run,
    )
    result = register_planes(request)
    publish_problems(result)
    if result.experiment_id is not None and not dry_run:
        announce(result.experiment_id, name)
    return {"experiment_id": result.experiment_id, **result.counts}


def publish_problems(result: RegistrationResult) -> None:
    """Leave a table of what a person should know about the folder."""
    if result.problems:
        create_table_artifact(
            [
                {"severity": problem.severity, "file": problem.file, "problem": problem.text}
                for problem in result.problems[:MAX_ROWS]
            ],
            key="registration-problems",
            description=f"{len(result.problems)} problems",
        )


def announce(experiment_id: int, name: str) -> None:
    """Tell Prefect's automations that an experiment is ready to be extracted."""
    emit_event(
        event=EVENT,
        resource={
            "prefect.resource.id": f"imextract.experiment.{experiment_id}",
            "prefect.resource.name": name,
        },
        payload={"experiment_id": experiment_id},
    )
