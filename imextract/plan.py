"""Init: find what is missing and share it out into batches."""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sqlalchemy.orm import Session

from imextract.batches import CollectBatch, ImextractBatchArguments, RunBatch
from imextract.cleanup import remove_discarded
from imextract.database import batches as batch_queries
from imextract.database.experiments import get_experiment
from imextract.database.models import BatchRow
from imextract.database.planes import (
    NOT_STORED,
    stored_planes,
    update_planes,
    without_originals,
)
from imextract.database.session import Database
from imextract.lease import Lease, require_lease
from imextract.separation import require_registered_apart
from imextract.sizing import job_count
from imextract.store import FolderStore

__all__ = ["plan_collect", "plan_runs", "requeue_missing", "split_evenly"]

logger = logging.getLogger(__name__)

_LOST = {
    "state": "failed",
    "error": "the stored plane is missing and its original was deleted; bring the stored file "
    "back from a backup and run again",
}


def plan_runs(
    database: Database,
    store: FolderStore,
    lease: Lease,
    arguments: ImextractBatchArguments,
) -> list[RunBatch]:
    """Share out the planes that are missing into batches of whole sites.

    Planes that are extracted and whose stored files are there are left
    alone; where nothing is missing, the batches of before stay current.

    Returns
    -------
    list of RunBatch
        Evenly filled, as many as `sizing.job_count` says.

    Raises
    ------
    ConfigError
        If microscope files lie in the storage, or the storage or the ledger among them.
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    """
    experiment_id = lease.experiment_id
    require_registered_apart(store, database, experiment_id)
    remove_discarded(database, store, lease)
    missing = requeue_missing(database, store, lease)
    if missing:
        logger.warning("experiment %d: %d stored planes are missing", experiment_id, missing)
    store.check()
    with database.transaction() as session:
        require_lease(session, lease)
        was_cut_off = batch_queries.close_lost_runs(session, experiment_id)
        sites = batch_queries.pending_sites(session, experiment_id)
        jobs = job_count(batch_queries.pending_work(session, experiment_id), arguments)
        generation = batch_queries.next_generation(session, experiment_id, "run")
        return [
            _add_run_batch(
                session, experiment_id, generation, job, chunk, arguments, is_apart=was_cut_off
            )
            for job, chunk in enumerate(split_evenly(sites, jobs), start=1)
        ]


def plan_collect(
    database: Database, experiment_id: int, arguments: ImextractBatchArguments
) -> CollectBatch:
    """Record the collect job that follows the run jobs.

    Raises
    ------
    UnknownExperimentError, LedgerError
    """
    with database.transaction() as session:
        get_experiment(session, experiment_id)
        batch = BatchRow(
            experiment_id=experiment_id,
            phase="collect",
            generation=batch_queries.next_generation(session, experiment_id, "collect"),
            job=1,
            site_count=0,
            plane_count=0,
            compression=arguments.compression,
            deletes=arguments.delete,
            created_at=dt.datetime.now(dt.UTC),
        )
        batch_id = batch_queries.add_batch(session, batch)
    return CollectBatch(experiment_id, batch_id, arguments.delete)


def requeue_missing(database: Database, store: FolderStore, lease: Lease) -> int:
    """Plan again the extracted planes whose stored files are gone or cut short.

    Where the original is deleted as well the plane is set to failed: only a
    backup of its stored file can bring it back, and a rerun takes that over.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    StorageError
        If the whole storage is not there.
    UnknownExperimentError, ExperimentBusyError, LedgerError
    """
    with database.reading() as session:
        get_experiment(session, lease.experiment_id)
        missing = _missing_planes(session, store, lease.experiment_id)
    if not missing:
        return 0
    with database.transaction() as session:
        get_experiment(session, lease.experiment_id, locks=True)
        require_lease(session, lease)
        lost = without_originals(session, missing)
        requeued = [plane_id for plane_id in missing if plane_id not in lost]
        update_planes(session, requeued, **NOT_STORED)
        update_planes(session, sorted(lost), **_LOST)
    return len(missing)


def _missing_planes(session: Session, store: FolderStore, experiment_id: int) -> list[int]:
    missing = []
    # One listing per folder: asking for each file would take ten times as long.
    sizes: dict[str, dict[str, int]] = {}
    for plane_id, location, stored_bytes in stored_planes(session, experiment_id):
        if not sizes:
            store.require()
        folder, _, name = location.rpartition("/")
        if folder not in sizes:
            sizes = {folder: store.sizes(folder)}
        if sizes[folder].get(name) != stored_bytes:
            missing.append(plane_id)
    return missing


def split_evenly(sites: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    """Split sites into so many chunks, whose lengths differ by one at most."""
    bounds = [len(sites) * part // count for part in range(count + 1)] if count else []
    for start, end in pairwise(bounds):
        yield sites[start:end]


def _add_run_batch(
    session: Session,
    experiment_id: int,
    generation: int,
    job: int,
    sites: Sequence[int],
    arguments: ImextractBatchArguments,
    *,
    is_apart: bool,
) -> RunBatch:
    row = BatchRow(
        experiment_id=experiment_id,
        phase="run",
        generation=generation,
        job=job,
        site_count=len(sites),
        plane_count=0,
        compression=arguments.compression,
        deletes=arguments.delete,
        created_at=dt.datetime.now(dt.UTC),
    )
    batch_id = batch_queries.add_batch(session, row)
    row.plane_count = batch_queries.assign_sites(session, experiment_id, sites, batch_id)
    row.is_apart = is_apart or batch_queries.has_deadly_planes(session, batch_id)
    return RunBatch(experiment_id, batch_id, job)
