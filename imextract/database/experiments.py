"""Queries about experiments."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imextract.database.models import (
    PLANE_STATES,
    AcquisitionRow,
    ChannelImageFileRow,
    ExperimentRow,
    PlateRow,
)
from imextract.errors import UnknownExperimentError

__all__ = [
    "ExperimentSummary",
    "acquisition_ids",
    "count_states",
    "get_experiment",
    "list_experiments",
    "pending_experiments",
]


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """An experiment and how many of its planes are in which state."""

    experiment_id: int
    name: str
    created_at: str
    states: dict[str, int]


def get_experiment(session: Session, experiment_id: int) -> ExperimentRow:
    """Give an experiment.

    Raises
    ------
    UnknownExperimentError
        If there is none of that id.
    """
    experiment = session.get(ExperimentRow, experiment_id)
    if experiment is None:
        raise UnknownExperimentError(
            f"experiment {experiment_id} does not exist; "
            "see `imextract list`, or register a folder with `imextract register`"
        )
    return experiment


def acquisition_ids(session: Session, experiment_id: int) -> Sequence[int]:
    """Give the acquisitions of an experiment; planes are found through them."""
    query = (
        select(AcquisitionRow.id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(PlateRow.experiment_id == experiment_id)
        .order_by(AcquisitionRow.id)
    )
    return session.scalars(query).all()


def count_states(session: Session, experiment_id: int) -> dict[str, int]:
    """Count the planes of an experiment by state; every state is named."""
    query = (
        select(ChannelImageFileRow.state, func.count())
        .where(ChannelImageFileRow.acquisition_id.in_(acquisition_ids(session, experiment_id)))
        .group_by(ChannelImageFileRow.state)
    )
    counted = {str(state): int(count) for state, count in session.execute(query)}
    return {state: counted.get(state, 0) for state in PLANE_STATES}


def list_experiments(session: Session) -> list[ExperimentSummary]:
    """Give all experiments in the order of their ids."""
    experiments = session.scalars(select(ExperimentRow).order_by(ExperimentRow.id)).all()
    return [
        ExperimentSummary(
            experiment_id=experiment.id,
            name=experiment.name,
            created_at=experiment.created_at.isoformat(timespec="seconds"),
            states=count_states(session, experiment.id),
        )
        for experiment in experiments
    ]


def pending_experiments(session: Session) -> list[int]:
    """Give the experiments that still have planes to extract."""
    return [
        summary.experiment_id
        for summary in list_experiments(session)
        if summary.states["planned"] or summary.states["failed"]
    ]
