"""Originals: whether they are there, and which may go."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash
from sqlalchemy.orm import Session

from imextract.database.experiments import get_experiment
from imextract.database.files import (
    MicroscopeFile,
    data_sets_of_entries,
    entries_of_extracted,
    move_files,
    pending_files,
)
from imextract.database.session import Database
from imextract.errors import SourceFileError
from imextract.lease import Lease, require_lease
from imextract.readers.expected import ExpectedFile

__all__ = ["identity_of", "settle_deletions", "survey_originals", "why_unsafe"]


def identity_of(path: Path) -> str | None:
    """Say what a file is, so that whatever is done to it or put in its place shows; None if gone.

    The time of the last change of its inode cannot be set as that of its
    content can. It changes with permissions and names as well.
    """
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def survey_originals(session: Session, experiment_id: int) -> str:
    """Say what the files of all extracted planes are, so that any change of any of them shows.

    Raises
    ------
    SourceFileError
        If one is gone, or has another size or time than when it was registered.
    """
    seen = xxhash.xxh3_128()
    for entry_id in entries_of_extracted(session, experiment_id):
        for data_set in data_sets_of_entries(session, [entry_id]).values():
            for file in data_set.files:
                if (reason := _why_gone(file)) is not None:
                    raise SourceFileError(reason)
                seen.update(f"{identity_of(file.path)} ".encode())
    return seen.hexdigest()


def why_unsafe(files: Iterable[MicroscopeFile]) -> str | None:
    """Say why files may not be deleted, None if they may.

    A file must be what it was when its planes were read, and lie itself in
    the registered folder, which was registered by its real path: no symbolic
    link leads there.
    """
    return next(_reasons(files), None)


def settle_deletions(database: Database, lease: Lease) -> None:
    """Find out what became of files whose deletion was recorded but not finished.

    A file that is gone is deleted; one that is there is present again, and
    must be proven anew before it may go. Where its folder is gone, too, nobody
    knows: the disk may not be mounted.

    Raises
    ------
    UnknownExperimentError, ExperimentBusyError, LedgerError
    """
    with database.transaction() as session:
        get_experiment(session, lease.experiment_id, locks=True)
        require_lease(session, lease)
        present, deleted = [], []
        for row_id, path in pending_files(session, lease.experiment_id):
            if identity_of(path) is not None:
                present.append(row_id)
            elif path.parent.is_dir():
                deleted.append(row_id)
        move_files(session, present, "present", identity=None)
        move_files(session, deleted, "deleted")


def _reasons(files: Iterable[MicroscopeFile]) -> Iterator[str]:
    for file in files:
        if file.state != "present" and not os.path.lexists(file.path):
            if file.state == "pending_deletion" and not file.path.parent.is_dir():
                yield f"{file.path}: its folder is not there; mount its disk"
            continue
        problem = _expected(file).problem()
        if problem is not None:
            yield problem
        elif not file.path.is_relative_to(file.folder):
            yield f"{file.path}: it lies outside of the registered folder {file.folder}"
        elif os.path.realpath(file.path) != str(file.path):
            yield f"{file.path}: it is reached through a symbolic link"


def _why_gone(file: MicroscopeFile) -> str | None:
    if file.state != "present":
        return f"{file.path}: deleted after its extraction"
    return _expected(file).problem()


def _expected(file: MicroscopeFile) -> ExpectedFile:
    return ExpectedFile(file.path, file.size_bytes, file.mtime_ns)
