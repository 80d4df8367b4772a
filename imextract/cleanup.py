"""Cleanup: forget what was extracted, never what was planned."""

import logging

from imextract.database.experiments import get_experiment
from imextract.database.files import has_freed_files
from imextract.database.planes import plan_again
from imextract.database.session import Database
from imextract.errors import ConfigError
from imextract.originals import missing_originals
from imextract.store import FolderStore

__all__ = ["delete_output"]

logger = logging.getLogger(__name__)


def delete_output(database: Database, store: FolderStore, experiment_id: int) -> int:
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
    UnknownExperimentError, LedgerError, StorageError
    """
    with database.reading() as session:
        get_experiment(session, experiment_id)
        _refuse_if_gone(experiment_id, next(missing_originals(session, experiment_id), None))
    with database.transaction() as session:
        experiment = get_experiment(session, experiment_id, locks=True)
        # A collect may have begun to delete originals since they were looked at.
        if has_freed_files(session, experiment_id):
            _refuse_if_gone(experiment_id, "another collect deletes originals just now")
        count = plan_again(session, experiment_id)
        storage_key = experiment.storage_key
    # After the ledger: a crash in between leaves files that a rerun takes over.
    store.remove_tree(storage_key)
    logger.info("experiment %d: output deleted, %d planes planned", experiment_id, count)
    return count


def _refuse_if_gone(experiment_id: int, what: str | None) -> None:
    if what is not None:
        raise ConfigError(
            f"experiment {experiment_id}: its output is kept, because an original is gone and "
            f"the extracted planes are the only copy: {what}"
        )
