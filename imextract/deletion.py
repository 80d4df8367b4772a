"""Freeing originals: proven first, recorded second, deleted last."""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imextract.database.experiments import acquisition_ids
from imextract.database.files import (
    MicroscopeDataSet,
    MicroscopeFile,
    data_sets_of_acquisition,
    files_at,
    set_file_state,
    unfinished_planes,
)
from imextract.database.planes import PlaneRecord, planes_of_entry
from imextract.database.session import Database
from imextract.errors import DamagedPlaneError, StorageError
from imextract.originals import why_unsafe
from imextract.store import FolderStore
from imextract.stored import load_plane

__all__ = ["Deletion", "delete_originals"]

logger = logging.getLogger(__name__)

_MOST_NOTES = 50


@dataclass(slots=True)
class Deletion:
    """What was deleted, what was kept, and why."""

    deleted_files: int = 0
    notes: list[str] = field(default_factory=list)

    def keep(self, what: str) -> None:
        """Note why something is kept."""
        logger.warning("kept: %s", what)
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(f"kept: {what}")


def delete_originals(database: Database, store: FolderStore, experiment_id: int) -> Deletion:
    """Delete the microscope files whose every plane is proven to be stored.

    A file goes only when every plane that depends on it, of whichever
    experiment, is extracted, is not suspect, and was re-read just now; when
    the file is what it was; and when it lies in the registered folder. If a
    plane of an acquisition failed, nothing of that acquisition goes.

    Raises
    ------
    UnknownExperimentError, LedgerError, StorageError
    """
    deletion = Deletion()
    with database.reading() as session:
        acquisitions = list(acquisition_ids(session, experiment_id))
    for acquisition_id in acquisitions:
        with database.reading() as session:
            unfinished = unfinished_planes(session, acquisition_id)
            data_sets = list(data_sets_of_acquisition(session, acquisition_id))
        if unfinished:
            deletion.keep(f"acquisition {acquisition_id}: {unfinished} planes are not extracted")
            continue
        for data_set in data_sets:
            _delete_if_proven(database, store, data_set, deletion)
    return deletion


def _delete_if_proven(
    database: Database, store: FolderStore, data_set: MicroscopeDataSet, deletion: Deletion
) -> None:
    doomed = [file for file in data_set.files if file.holds_pixels and file.state != "deleted"]
    if not doomed:
        return
    reason = why_unsafe(data_set) or next(_unproven(database, store, data_set), None)
    if reason is not None:
        deletion.keep(reason)
        return
    rows = _rows_of(database, doomed)
    with database.transaction() as session:
        set_file_state(session, [row for ids in rows.values() for row in ids], "pending_deletion")
    for file in doomed:
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            # Kept as pending: the next collect with delete tries again.
            deletion.keep(f"{file.path}: {error.strerror}")
            continue
        deletion.deleted_files += 1
        with database.transaction() as session:
            set_file_state(session, rows[file.path], "deleted")
    logger.info("%s: its files are deleted, %d so far", data_set.entry.path, deletion.deleted_files)


def _rows_of(database: Database, files: Iterable[MicroscopeFile]) -> dict[Path, list[int]]:
    """Give the rows of each file: it may be registered more than once."""
    with database.reading() as session:
        return {
            file.path: [row_id for row_id, _ in files_at(session, [file.path])] for file in files
        }


def _unproven(database: Database, store: FolderStore, data_set: MicroscopeDataSet) -> Iterator[str]:
    for plane in _dependent_planes(database, data_set):
        name = f"{data_set.entry.path}: plane {plane.id} of experiment {plane.experiment_id}"
        if plane.state == "absent":
            continue
        if plane.state != "extracted":
            yield f"{name} is {plane.state}"
        elif plane.is_suspect:
            accept = f"imextract {plane.experiment_id} accept"
            yield f"{name} is constant; look at it, and if it is right say so with `{accept}`"
        else:
            try:
                load_plane(store, plane)
            except (DamagedPlaneError, StorageError) as error:
                yield f"{name}: {error}"


def _dependent_planes(database: Database, data_set: MicroscopeDataSet) -> list[PlaneRecord]:
    paths = {file.path for file in data_set.files}
    # Another registration may name the same file by another way to its folder.
    paths |= {Path(os.path.realpath(path)) for path in paths}
    with database.reading() as session:
        entries = {entry_id for _, entry_id in files_at(session, paths)}
        return planes_of_entry(session, entries | {data_set.entry_id})
