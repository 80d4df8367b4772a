"""Queries about batches and who worked on them."""

import datetime as dt
import os
import socket
from collections.abc import Sequence

import numpy as np
from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids, sum_of_pixels
from imextract.database.models import BatchRow, BatchRunRow, ChannelImageFileRow
from imextract.sizing import Work

__all__ = [
    "add_batch",
    "assign_sites",
    "begin_run",
    "close_lost_runs",
    "current_batches",
    "end_run",
    "get_batch",
    "has_deadly_planes",
    "next_generation",
    "pending_sites",
    "pending_work",
    "runs_of_batch",
    "unfinished_batches",
    "was_cut_off",
]

Plane = ChannelImageFileRow

_LOST = "its process ended without a word: killed, crashed, or out of memory"


def pending_sites(session: Session, experiment_id: int) -> list[int]:
    """Give the sites that have planes to extract, in the order of their ids."""
    query = select(Plane.site_id).where(*_is_pending(session, experiment_id))
    return list(session.scalars(query.distinct().order_by(Plane.site_id)))


def pending_work(session: Session, experiment_id: int) -> Work:
    """Give what there is to extract."""
    conditions = _is_pending(session, experiment_id)
    sites = session.scalar(select(func.count(Plane.site_id.distinct())).where(*conditions))
    query = select(Plane.dtype, func.count(), sum_of_pixels())
    planes = pixel_bytes = 0
    for dtype, count, pixels in session.execute(query.where(*conditions).group_by(Plane.dtype)):
        planes += count
        pixel_bytes += int(pixels) * np.dtype(dtype).itemsize
    return Work(sites or 0, planes, pixel_bytes)


def _is_pending(session: Session, experiment_id: int) -> list[ColumnElement[bool]]:
    return [
        Plane.acquisition_id.in_(acquisition_ids(session, experiment_id)),
        Plane.state.in_(("planned", "failed")),
    ]


def next_generation(session: Session, experiment_id: int, phase: str) -> int:
    """Give the number of the next call of init."""
    newest = session.scalar(
        select(func.max(BatchRow.generation)).where(
            BatchRow.experiment_id == experiment_id, BatchRow.phase == phase
        )
    )
    return (newest or 0) + 1


def add_batch(session: Session, batch: BatchRow) -> int:
    """Add a batch and give its id."""
    session.add(batch)
    session.flush()
    return batch.id


def assign_sites(
    session: Session, experiment_id: int, site_ids: Sequence[int], batch_id: int
) -> int:
    """Put the planes that these sites still lack into a batch; give their count."""
    acquisitions = acquisition_ids(session, experiment_id)
    # A sum is in no index. By that of acquisition and state, which databases
    # would prefer, every batch would look at all planes of the experiment.
    conditions = [
        (Plane.acquisition_id + 0).in_(acquisitions),
        Plane.state.in_(("planned", "failed")),
    ]
    count = 0
    for start in range(0, len(site_ids), 500):
        changed = session.execute(
            update(Plane)
            .where(Plane.site_id.in_(site_ids[start : start + 500]), *conditions)
            .values(batch_id=batch_id)
            .execution_options(synchronize_session=False)
        )
        count += changed.rowcount  # type: ignore[attr-defined]  # a cursor result, as of any UPDATE
    return count


def current_batches(session: Session, experiment_id: int, phase: str) -> Sequence[BatchRow]:
    """Give the batches of the newest init, in the order of their jobs."""
    newest = next_generation(session, experiment_id, phase) - 1
    query = select(BatchRow).where(
        BatchRow.experiment_id == experiment_id,
        BatchRow.phase == phase,
        BatchRow.generation == newest,
    )
    return session.scalars(query.order_by(BatchRow.job)).all()


def get_batch(session: Session, batch_id: int) -> BatchRow | None:
    """Give a batch, None if there is none of that id."""
    return session.get(BatchRow, batch_id)


def unfinished_batches(session: Session, batch_ids: Sequence[int]) -> set[int]:
    """Give those batches that have planes which are still only planned."""
    planned = exists().where(Plane.batch_id == BatchRow.id, Plane.state == "planned")
    found: set[int] = set()
    for start in range(0, len(batch_ids), 500):
        chunk = batch_ids[start : start + 500]
        found.update(session.scalars(select(BatchRow.id).where(BatchRow.id.in_(chunk), planned)))
    return found


def begin_run(session: Session, batch_id: int, *, is_apart: bool = False) -> int:
    """Record that this process begins to work on a batch; give the run's id."""
    run = BatchRunRow(
        batch_id=batch_id,
        state="running",
        host=socket.gethostname(),
        process=os.getpid(),
        is_apart=is_apart,
        started_at=dt.datetime.now(dt.UTC),
    )
    session.add(run)
    session.flush()
    return run.id


def was_cut_off(session: Session, batch_id: int) -> bool:
    """Whether the last go at a batch was stopped, perhaps by one of its planes.

    One that just stopped is put down as lost: the caller is the only one to
    work on the batch. What was extracted apart was not stopped by a plane.
    """
    runs = runs_of_batch(session, batch_id)
    for run in runs:
        if run.state == "running":
            run.state, run.error = "lost", _LOST
    return bool(runs) and runs[0].state != "done" and not runs[0].is_apart


def close_lost_runs(session: Session, experiment_id: int) -> bool:
    """Put down as lost all goes at run jobs that just stopped.

    Returns whether a plane may have stopped one of them. The caller is the
    only one to work on the experiment.
    """
    batches = select(BatchRow.id).where(
        BatchRow.experiment_id == experiment_id, BatchRow.phase == "run"
    )
    query = select(BatchRunRow).where(
        BatchRunRow.batch_id.in_(batches), BatchRunRow.state == "running"
    )
    lost = session.scalars(query).all()
    for run in lost:
        run.state, run.error = "lost", _LOST
    return any(not run.is_apart for run in lost)


def has_deadly_planes(session: Session, batch_id: int) -> bool:
    """Whether a plane of a batch is known to end the process that extracts it."""
    query = select(Plane.id).where(Plane.batch_id == batch_id, Plane.is_deadly).limit(1)
    return session.scalar(query) is not None


def end_run(session: Session, run_id: int, **values: object) -> None:
    """Record how the work on a batch ended."""
    session.execute(
        update(BatchRunRow)
        .where(BatchRunRow.id == run_id)
        .values(finished_at=dt.datetime.now(dt.UTC), **values)
    )


def runs_of_batch(session: Session, batch_id: int) -> Sequence[BatchRunRow]:
    """Give all goes at a batch, the newest first."""
    query = select(BatchRunRow).where(BatchRunRow.batch_id == batch_id)
    return session.scalars(query.order_by(BatchRunRow.id.desc())).all()
