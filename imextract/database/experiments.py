"""Queries about experiments."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.orm import Session

from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    ExperimentRow,
    MicroscopeImageFileRow,
    PlateRow,
)
from imextract.database.states import PLANE_STATES
from imextract.errors import UnknownExperimentError

__all__ = [
    "ExperimentSummary",
    "StoredSum",
    "acquisition_ids",
    "count_kept_files",
    "count_states",
    "get_experiment",
    "list_experiments",
    "new_storage_key",
    "pending_experiments",
    "registered_folders",
    "sum_of_pixels",
    "sum_stored",
]

Plane = ChannelImageFileRow


@dataclass(frozen=True, slots=True)
class StoredSum:
    """What the extracted planes of an experiment amount to: constant ones, raw and stored bytes."""

    suspect: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """An experiment and how many of its planes are in which state."""

    experiment_id: int
    name: str
    created_at: str
    states: dict[str, int]


def get_experiment(session: Session, experiment_id: int, *, locks: bool = False) -> ExperimentRow:
    """Give an experiment.

    Parameters
    ----------
    locks
        Wait for other transactions that lock it, and make later ones wait.
        (SQLite has but one writer at a time anyway.)

    Raises
    ------
    UnknownExperimentError
        If there is none of that id.
    """
    experiment = session.get(ExperimentRow, experiment_id, with_for_update=locks)
    if experiment is None:
        raise UnknownExperimentError(
            f"experiment {experiment_id} does not exist; "
            "see `imextract list`, or register a folder with `imextract register`"
        )
    return experiment


def new_storage_key(experiment_id: int) -> str:
    """Give the name of a folder that no experiment has had, of this or another database."""
    return f"{experiment_id}-{secrets.token_hex(6)}"


def acquisition_ids(session: Session, experiment_id: int) -> Sequence[int]:
    """Give the acquisitions of an experiment; planes are found through them."""
    query = (
        select(AcquisitionRow.id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(PlateRow.experiment_id == experiment_id)
        .order_by(AcquisitionRow.id)
    )
    return session.scalars(query).all()


def registered_folders(session: Session, experiment_id: int | None = None) -> Sequence[str]:
    """Give the folders of microscope files of an experiment, or of all."""
    query = select(AcquisitionRow.folder).distinct().order_by(AcquisitionRow.folder)
    if experiment_id is not None:
        query = query.where(AcquisitionRow.id.in_(acquisition_ids(session, experiment_id)))
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


def sum_of_pixels() -> ColumnElement[int]:
    """Give the sum of the planes' pixels, for queries; by type it tells bytes."""
    # PostgreSQL multiplies in the type of the columns, and a plane may have more pixels than
    # that counts.
    return func.sum(cast(Plane.height, BigInteger) * Plane.width)


def sum_stored(session: Session, experiment_id: int) -> StoredSum:
    """Add up the extracted planes of an experiment."""
    suspect = bytes_in = bytes_out = 0
    query = (
        select(
            Plane.dtype,
            sum_of_pixels(),
            func.sum(Plane.stored_bytes),
            func.count().filter(Plane.is_suspect),
        )
        .where(
            Plane.acquisition_id.in_(acquisition_ids(session, experiment_id)),
            Plane.state == "extracted",
        )
        .group_by(Plane.dtype)
    )
    for dtype, pixels, stored, constant in session.execute(query):
        bytes_in += int(pixels) * np.dtype(dtype).itemsize
        bytes_out += int(stored or 0)
        suspect += constant
    return StoredSum(suspect, bytes_in, bytes_out)


def count_kept_files(session: Session, experiment_id: int) -> int:
    """Count the microscope files with pixels that are not deleted."""
    # A file of several acquisitions has a row for each, and is one file.
    kept = (
        select(AcquisitionRow.folder, MicroscopeImageFileRow.path)
        .join(AcquisitionRow, AcquisitionRow.id == MicroscopeImageFileRow.acquisition_id)
        .where(
            AcquisitionRow.id.in_(acquisition_ids(session, experiment_id)),
            MicroscopeImageFileRow.holds_pixels,
            MicroscopeImageFileRow.state != "deleted",
        )
        .distinct()
    )
    return session.scalar(select(func.count()).select_from(kept.subquery())) or 0
