"""Originals: whether they are there, and which may go."""

import os
from collections.abc import Iterable, Iterator

from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids
from imextract.database.files import (
    MicroscopeFile,
    data_sets_of_acquisition,
)
from imextract.readers.expected import ExpectedFile

__all__ = ["missing_originals", "why_unsafe"]


def missing_originals(session: Session, experiment_id: int) -> Iterator[str]:
    """Name the originals of an experiment that are gone or have changed."""
    for acquisition_id in acquisition_ids(session, experiment_id):
        for data_set in data_sets_of_acquisition(session, acquisition_id):
            for file in data_set.files:
                if (reason := _why_gone(file)) is not None:
                    yield reason


def why_unsafe(files: Iterable[MicroscopeFile]) -> str | None:
    """Say why files may not be deleted, None if they may.

    A file must be what it was when its planes were read, and lie itself in
    the registered folder, which was registered by its real path: no symbolic
    link leads there.
    """
    return next(_reasons(files), None)


def _reasons(files: Iterable[MicroscopeFile]) -> Iterator[str]:
    for file in files:
        if file.state != "present" and not os.path.lexists(file.path):
            continue
        problem = _expected(file).problem()
        if problem is not None:
            yield problem
        elif os.path.realpath(file.path) != str(file.path):
            yield f"{file.path}: it is reached through a symbolic link"


def _why_gone(file: MicroscopeFile) -> str | None:
    if file.state != "present":
        return f"{file.path}: deleted after its extraction"
    return _expected(file).problem()


def _expected(file: MicroscopeFile) -> ExpectedFile:
    return ExpectedFile(file.path, file.size_bytes, file.mtime_ns)
