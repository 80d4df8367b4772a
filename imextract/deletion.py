"""Freeing originals: proven first, recorded second, deleted last."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from imextract.database.experiments import acquisition_ids, get_experiment
from imextract.database.files import (
    MicroscopeDataSet,
    MicroscopeFile,
    data_sets_of_entries,
    entries_of_acquisitions,
    files_at,
    overlapping_acquisitions,
    set_file_state,
    unfinished_planes,
)
from imextract.database.planes import PlaneRecord, planes_of_entry, read_planes
from imextract.database.session import Database
from imextract.errors import DamagedPlaneError, StorageError
from imextract.lease import Lease, require_lease
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


def delete_originals(database: Database, store: FolderStore, lease: Lease) -> Deletion:
    """Delete the microscope files whose every plane is proven to be stored.

    A file goes only when every plane that depends on it, of whichever
    experiment, is extracted, is not suspect, and was re-read just now; when
    the file is what it was; and when it lies in the registered folder. If a
    plane of an acquisition failed, nothing of that acquisition goes.

    Raises
    ------
    ExperimentBusyError, LedgerError, StorageError
    """
    deletion = Deletion()
    with database.reading() as session:
        acquisitions = list(acquisition_ids(session, lease.experiment_id))
    for acquisition_id in acquisitions:
        with database.reading() as session:
            unfinished = unfinished_planes(session, acquisition_id)
            entries = list(entries_of_acquisitions(session, [acquisition_id]))
        if unfinished:
            deletion.keep(f"acquisition {acquisition_id}: {unfinished} planes are not extracted")
            continue
        for entry_id in entries:
            _delete_if_proven(database, store, lease, entry_id, deletion)
    return deletion


def _delete_if_proven(
    database: Database, store: FolderStore, lease: Lease, entry_id: int, deletion: Deletion
) -> None:
    case = _Case.of(database, entry_id)
    if not case.doomed:
        return
    reason = why_unsafe(case.data_set.files) or next(_unproven(store, case), None)
    if reason is not None:
        deletion.keep(reason)
        return
    if not _record_intent(database, lease, case):
        deletion.keep(f"{case.data_set.entry.path}: its planes changed while they were proven")
        return
    for file in case.doomed:
        _delete(database, case, file, deletion)
    logger.info("%s: its files are freed", case.data_set.entry.path)


@dataclass(frozen=True, slots=True)
class _Case:
    """A data set that may go: what would go, its rows, the planes that depend on it."""

    data_set: MicroscopeDataSet
    rows: dict[Path, list[int]]
    planes: list[PlaneRecord]

    @classmethod
    def of(cls, database: Database, entry_id: int) -> Self:
        with database.reading() as session:
            data_set = data_sets_of_entries(session, [entry_id])[entry_id]
            # Other registrations, of this or another experiment, may hold the same files.
            kin = overlapping_acquisitions(session, data_set.folder)
            found = {file.path: files_at(session, kin, [file.path]) for file in data_set.files}
            entries = {entry for pairs in found.values() for _, entry in pairs}
            planes = planes_of_entry(session, entries)
        rows = {path: [row_id for row_id, _ in pairs] for path, pairs in found.items()}
        return cls(data_set, rows, planes)

    @property
    def doomed(self) -> list[MicroscopeFile]:
        return [f for f in self.data_set.files if f.holds_pixels and f.state != "deleted"]


def _unproven(store: FolderStore, case: _Case) -> Iterator[str]:
    for plane in case.planes:
        name = f"{case.data_set.entry.path}: plane {plane.id} of experiment {plane.experiment_id}"
        if plane.state == "absent":
            continue
        if plane.state != "extracted":
            yield f"{name} is {plane.state}"
        elif plane.is_suspect:
            accept = f"imextract {plane.experiment_id} accept"
            yield f"{name} is suspect; look at it, and if it is right say so with `{accept}`"
        else:
            try:
                load_plane(store, plane, from_disk=True)
            except (DamagedPlaneError, StorageError) as error:
                yield f"{name}: {error}"


def _record_intent(database: Database, lease: Lease, case: _Case) -> bool:
    """Record that the files are about to go, if all is still as it was proven."""
    with database.transaction() as session:
        for experiment_id in sorted({plane.experiment_id for plane in case.planes}):
            get_experiment(session, experiment_id, locks=True)
        require_lease(session, lease)
        now = {plane.id: plane for plane in read_planes(session, [p.id for p in case.planes])}
        if any(now.get(plane.id) != plane for plane in case.planes):
            return False
        rows = [row_id for file in case.doomed for row_id in case.rows[file.path]]
        set_file_state(session, rows, "pending_deletion")
    return True


def _delete(database: Database, case: _Case, file: MicroscopeFile, deletion: Deletion) -> None:
    # Proving took its time: the file may have been replaced meanwhile.
    reason = why_unsafe([file])
    if reason is None:
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            # It stays pending: the next collect with delete tries again.
            reason = f"{file.path}: {error.strerror}"
    if reason is not None:
        deletion.keep(reason)
        return
    deletion.deleted_files += 1
    with database.transaction() as session:
        set_file_state(session, case.rows[file.path], "deleted")
