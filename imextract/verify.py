"""Verify: re-read every stored plane against its checksum."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from imextract.database.planes import PlaneFilter, PlaneRecord, find_planes
from imextract.database.session import Database
from imextract.errors import DamagedPlaneError
from imextract.store import FolderStore
from imextract.stored import load_plane

__all__ = ["VerifiedPlane", "verify_experiment"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedPlane:
    """A plane that was re-read; `error` is None if it is whole."""

    plane: PlaneRecord
    error: str | None


def verify_experiment(
    database: Database, store: FolderStore, experiment_id: int
) -> Iterator[VerifiedPlane]:
    """Re-read every extracted plane of an experiment, in the order of their ids.

    Raises
    ------
    UnknownExperimentError, LedgerError
    StorageError
        If the storage cannot be read at all.
    """
    is_first = True
    for plane in find_planes(database, experiment_id, PlaneFilter(state="extracted")):
        if is_first:
            # A disk that is not mounted is not the loss of all planes.
            store.require()
            is_first = False
        yield VerifiedPlane(plane, _error(store, plane))


def _error(store: FolderStore, plane: PlaneRecord) -> str | None:
    try:
        load_plane(store, plane, from_disk=True)
    except DamagedPlaneError as error:
        logger.warning("%s", error)
        return str(error)
    return None
