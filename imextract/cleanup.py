"""Cleanup: forget what was extracted, never what was planned."""

import logging

from imextract.database.experiments import get_experiment, new_storage_key
from imextract.database.files import has_freed_files
from imextract.database.planes import plan_again
from imextract.database.session import Database
from imextract.errors import ConfigError
from imextract.lease import Lease, require_lease
from imextract.originals import missing_originals, settle_deletions
from imextract.store import FolderStore

__all__ = ["delete_output", "remove_discarded"]

logger = logging.getLogger(__name__)


def delete_output(database: Database, store: FolderStore, lease: Lease) -> int:
    """Delete the stored planes of an experiment and plan all of them again.

    Returns
    -------
    int
        How many planes are planned again.

    Raises
    ------
    ConfigError
        If an original is gone or has changed: the stored plane is then the
        only copy, and nothing is deleted.
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    """
    experiment_id = lease.experiment_id
    remove_discarded(database, store, lease)
    settle_deletions(database, lease)
    with database.reading() as session:
        _refuse_if_gone(experiment_id, next(missing_originals(session, experiment_id), None))
    with database.transaction() as session:
        experiment = get_experiment(session, experiment_id, locks=True)
        require_lease(session, lease)
        # Another experiment's collect may have begun to delete them since they were looked at.
        if has_freed_files(session, experiment_id):
            _refuse_if_gone(experiment_id, "a collect deletes originals just now")
        count = plan_again(session, experiment_id)
        # What is extracted from now on lies elsewhere: the deletion below, however
        # late it comes, and a job that has not noticed, cannot touch it.
        experiment.discarded_key = experiment.storage_key
        experiment.storage_key = new_storage_key(experiment_id)
    remove_discarded(database, store, lease)
    logger.info("experiment %d: output deleted, %d planes planned", experiment_id, count)
    return count


def remove_discarded(database: Database, store: FolderStore, lease: Lease) -> None:
    """Delete the stored planes that a cleanup has given up, however it ended.

    Raises
    ------
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    """
    with database.reading() as session:
        discarded = get_experiment(session, lease.experiment_id).discarded_key
    if discarded is None:
        return
    store.remove_tree(discarded)
    with database.transaction() as session:
        experiment = get_experiment(session, lease.experiment_id, locks=True)
        require_lease(session, lease)
        if experiment.discarded_key == discarded:
            experiment.discarded_key = None


def _refuse_if_gone(experiment_id: int, what: str | None) -> None:
    if what is not None:
        raise ConfigError(
            f"experiment {experiment_id}: its output is kept, because an original is gone and "
            f"the extracted planes are the only copy: {what}"
        )
