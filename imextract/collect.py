"""The collect job: where the experiment stands, and originals freed if asked."""

import logging

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imextract.batches import CollectBatch, CollectResult
from imextract.database.batches import begin_run, end_run, get_batch
from imextract.database.experiments import acquisition_ids, count_states, get_experiment
from imextract.database.models import ChannelImageFileRow, MicroscopeImageFileRow
from imextract.database.planes import PlaneFilter, find_planes
from imextract.database.session import Database
from imextract.deletion import Deletion, delete_originals
from imextract.errors import ConfigError
from imextract.journal import Journal
from imextract.plan import requeue_missing
from imextract.store import FolderStore

__all__ = ["collect_experiment"]

logger = logging.getLogger(__name__)

_MOST_NAMED = 50

Plane = ChannelImageFileRow


def collect_experiment(
    database: Database, store: FolderStore, batch: CollectBatch
) -> CollectResult:
    """Check that stored planes are there, count all, delete originals if asked.

    Raises
    ------
    UnknownExperimentError, LedgerError, StorageError
    ConfigError
        If there is no such collect job.
    """
    with Journal() as journal:
        run_id = _begin(database, batch)
        error: str | None = "interrupted"
        try:
            result = _collect(database, store, batch)
            error = None
        except BaseException as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            with database.transaction() as session:
                state = "done" if error is None else "failed"
                end_run(session, run_id, state=state, error=error, log=journal.text)
    return result


def _begin(database: Database, batch: CollectBatch) -> int:
    with database.transaction() as session:
        get_experiment(session, batch.experiment_id)
        row = get_batch(session, batch.batch_id)
        if row is None or row.phase != "collect" or row.experiment_id != batch.experiment_id:
            raise ConfigError(
                f"experiment {batch.experiment_id} has no collect job {batch.batch_id}; "
                "run init again"
            )
        return begin_run(session, batch.batch_id)


def _collect(database: Database, store: FolderStore, batch: CollectBatch) -> CollectResult:
    lost = requeue_missing(database, store, batch.experiment_id)
    swept = store.sweep()
    if swept:
        logger.info("%d files of killed writers tidied away", swept)
    deletion = Deletion()
    if batch.delete:
        deletion = delete_originals(database, store, batch.experiment_id)
    if lost:
        deletion.notes.insert(0, f"{lost} stored planes are missing; run again to extract them")
    with database.reading() as session:
        result = _result(session, batch.experiment_id, deletion)
    logger.info(
        "experiment %d: %d planes extracted, %d failed, %d absent, %d not done; "
        "%d microscope files deleted",
        batch.experiment_id,
        result.extracted,
        result.failed,
        result.absent,
        result.unfinished,
        result.deleted_files,
    )
    return result


def _result(session: Session, experiment_id: int, deletion: Deletion) -> CollectResult:
    states = count_states(session, experiment_id)
    suspect, bytes_in, bytes_out = _sums(session, experiment_id)
    return CollectResult(
        planned=sum(states.values()),
        extracted=states["extracted"],
        failed=states["failed"],
        absent=states["absent"],
        suspect=suspect,
        unfinished=states["planned"],
        deleted_files=deletion.deleted_files,
        kept_files=_kept_files(session, experiment_id),
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        failures=tuple(_failures(session, experiment_id)),
        notes=tuple(deletion.notes),
    )


def _sums(session: Session, experiment_id: int) -> tuple[int, int, int]:
    suspect = bytes_in = bytes_out = 0
    query = (
        select(
            Plane.dtype,
            func.sum(Plane.height * Plane.width),
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
    return suspect, bytes_in, bytes_out


def _kept_files(session: Session, experiment_id: int) -> int:
    query = select(func.count()).where(
        MicroscopeImageFileRow.acquisition_id.in_(acquisition_ids(session, experiment_id)),
        MicroscopeImageFileRow.holds_pixels,
        MicroscopeImageFileRow.state != "deleted",
    )
    return session.scalar(query) or 0


def _failures(session: Session, experiment_id: int) -> list[str]:
    failures = []
    for plane in find_planes(session, experiment_id, PlaneFilter(state="failed")):
        failures.append(
            f"{plane.plate} {plane.well} site {plane.site} {plane.channel} t{plane.tpoint} "
            f"z{plane.zplane}: {plane.error}"
        )
        if len(failures) == _MOST_NAMED:
            break
    return failures
