"""The collect job: where the experiment stands, and originals freed if asked."""

import logging
from itertools import islice

from imextract.batches import CollectBatch, CollectResult
from imextract.cleanup import remove_discarded
from imextract.database.batches import begin_run, end_run, get_batch
from imextract.database.experiments import (
    count_kept_files,
    count_states,
    sum_stored,
)
from imextract.database.planes import PlaneFilter, find_planes
from imextract.database.session import Database
from imextract.deletion import Deletion, delete_originals
from imextract.errors import ConfigError
from imextract.journal import Journal
from imextract.lease import Lease, require_lease
from imextract.originals import settle_deletions
from imextract.plan import requeue_missing
from imextract.workplace import Workplace

__all__ = ["collect_experiment"]

logger = logging.getLogger(__name__)

_MOST_NAMED = 50


def collect_experiment(place: Workplace, batch: CollectBatch, lease: Lease) -> CollectResult:
    """Check that stored planes are there, count all, delete originals if asked.

    Raises
    ------
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    ConfigError
        If there is no such collect job.
    """
    with Journal() as journal:
        run_id = _begin(place.database, batch, lease)
        error: str | None = "interrupted"
        try:
            result = _collect(place, batch, lease)
            error = None
        except BaseException as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            with place.database.transaction() as session:
                state = "done" if error is None else "failed"
                end_run(session, run_id, state=state, error=error, log=journal.text)
    return result


def _begin(database: Database, batch: CollectBatch, lease: Lease) -> int:
    with database.transaction() as session:
        require_lease(session, lease)
        row = get_batch(session, batch.batch_id)
        if row is None or row.phase != "collect" or row.experiment_id != batch.experiment_id:
            raise ConfigError(
                f"experiment {batch.experiment_id} has no collect job {batch.batch_id}; "
                "run init again"
            )
        return begin_run(session, batch.batch_id)


def _collect(place: Workplace, batch: CollectBatch, lease: Lease) -> CollectResult:
    database, store = place.database, place.store
    remove_discarded(database, store, lease)
    lost = requeue_missing(database, store, lease)
    swept = store.sweep()
    if swept:
        logger.info("%d files of killed writers tidied away", swept)
    deletion = Deletion()
    if batch.delete:
        deletion = delete_originals(place, lease)
    else:
        settle_deletions(database, lease)
    notes = [f"{lost} stored planes are missing; run again to extract them"] if lost else []
    result = _result(database, batch.experiment_id, deletion, notes)
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


def _result(
    database: Database, experiment_id: int, deletion: Deletion, notes: list[str]
) -> CollectResult:
    with database.reading() as session:
        states = count_states(session, experiment_id)
        stored = sum_stored(session, experiment_id)
        kept_files = count_kept_files(session, experiment_id)
    return CollectResult(
        planned=sum(states.values()),
        extracted=states["extracted"],
        failed=states["failed"],
        absent=states["absent"],
        suspect=stored.suspect,
        unfinished=states["planned"],
        deleted_files=deletion.deleted_files,
        kept_files=kept_files,
        bytes_in=stored.bytes_in,
        bytes_out=stored.bytes_out,
        failures=tuple(_failures(database, experiment_id)),
        notes=(*notes, *deletion.notes),
    )


def _failures(database: Database, experiment_id: int) -> list[str]:
    failed = find_planes(database, experiment_id, PlaneFilter(state="failed"))
    return [f"{plane.name}: {plane.error}" for plane in islice(failed, _MOST_NAMED)]
