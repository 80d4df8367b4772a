"""Cleanup: forget what was extracted, never what was planned."""

import logging

from sqlalchemy.orm import Session

from imextract.database.experiments import count_states, get_experiment, new_storage_key
from imextract.database.files import has_freed_files
from imextract.database.planes import plan_again
from imextract.database.session import Database
from imextract.errors import ConfigError, SourceFileError
from imextract.lease import Lease, require_lease
from imextract.originals import settle_deletions, survey_originals
from imextract.prover import Prover, extracted_planes
from imextract.separation import require_registered_apart
from imextract.store import FolderStore
from imextract.workplace import Workplace

__all__ = ["delete_output", "remove_discarded"]

logger = logging.getLogger(__name__)


def delete_output(place: Workplace, lease: Lease, *, force: bool = False) -> int:
    """Delete the stored planes of an experiment and plan all of them again.

    Proven first, as deletion of originals is: each original is read again,
    and must give what is stored.

    Parameters
    ----------
    force
        Do not look at the originals; one that this program deleted still
        keeps everything.

    Returns
    -------
    int
        How many planes are planned again.

    Raises
    ------
    ConfigError
        If an original is gone, or no longer gives what is stored: the stored
        plane is then the only copy, and nothing is deleted. Or if microscope files
        lie in the storage, or the storage or the ledger among them.
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    """
    experiment_id, database = lease.experiment_id, place.database
    require_registered_apart(place.store, database, experiment_id)
    remove_discarded(database, place.store, lease)
    settle_deletions(database, lease)
    with database.reading() as session:
        _refuse_freed(session, experiment_id)
        extracted = count_states(session, experiment_id)["extracted"]
    if extracted:
        # Of a disk that is not mounted nothing can be deleted.
        place.store.require()
    if not force:
        _require_originals(place, experiment_id, extracted)
    with database.transaction() as session:
        experiment = get_experiment(session, experiment_id, locks=True)
        require_lease(session, lease)
        # Another experiment's collect may have begun to delete them since they were looked at.
        _refuse_freed(session, experiment_id)
        count = plan_again(session, experiment_id)
        # What is extracted from now on lies elsewhere: the deletion below, however
        # late it comes, and a job that has not noticed, cannot touch it.
        experiment.discarded_key = experiment.storage_key
        experiment.storage_key = new_storage_key(experiment_id)
    remove_discarded(database, place.store, lease)
    logger.info("experiment %d: output deleted, %d planes planned", experiment_id, count)
    return count


def remove_discarded(database: Database, store: FolderStore, lease: Lease) -> None:
    """Delete the stored planes that a cleanup has given up, however it ended.

    Raises
    ------
    ConfigError
        If microscope files of the ledger lie in the storage, or the storage among them.
    UnknownExperimentError, ExperimentBusyError, LedgerError, StorageError
    """
    with database.reading() as session:
        discarded = get_experiment(session, lease.experiment_id).discarded_key
    if discarded is None:
        return
    # Of any experiment: the ledger may have come to another storage than it had.
    require_registered_apart(store, database)
    store.remove_tree(discarded)
    with database.transaction() as session:
        experiment = get_experiment(session, lease.experiment_id, locks=True)
        require_lease(session, lease)
        if experiment.discarded_key == discarded:
            experiment.discarded_key = None


def _require_originals(place: Workplace, experiment_id: int, extracted: int) -> None:
    """Refuse unless the originals of all extracted planes give them again."""
    before = _survey(place.database, experiment_id)
    planes = extracted_planes(place.database, experiment_id, "original")
    with Prover(place, extracted) as prover:
        for _, errors in prover.prove(planes):
            for reason in errors.values():
                raise _only_copy(experiment_id, reason)
    if _survey(place.database, experiment_id) != before:
        raise _only_copy(experiment_id, "a file changed while all were read again")


def _survey(database: Database, experiment_id: int) -> str:
    try:
        with database.reading() as session:
            return survey_originals(session, experiment_id)
    except SourceFileError as error:
        raise _only_copy(experiment_id, str(error)) from error


def _refuse_freed(session: Session, experiment_id: int) -> None:
    if has_freed_files(session, experiment_id):
        raise ConfigError(
            f"experiment {experiment_id}: its output is kept, because originals were deleted "
            "after their extraction, or are about to be, and the extracted planes are the only copy"
        )


def _only_copy(experiment_id: int, reason: str) -> ConfigError:
    return ConfigError(
        f"experiment {experiment_id}: its output is kept, because an original is gone or gives "
        f"other pixels, and the extracted planes may be the only copy: {reason}; bring it back, "
        f"or give the output up with `imextract {experiment_id} cleanup --force`"
    )
