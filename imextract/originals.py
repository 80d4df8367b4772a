"""Originals: whether they are there, and which may go."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids
from imextract.database.files import (
    MicroscopeDataSet,
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


def why_unsafe(data_set: MicroscopeDataSet) -> str | None:
    """Say why the files of a data set may not be deleted, None if they may.

    A file must be what it was when its planes were read, and lie itself in
    the registered folder: no symbolic link leads out of it.
    """
    return next(_reasons(data_set.files, data_set.folder), None)


def _reasons(files: Iterable[MicroscopeFile], folder: Path) -> Iterator[str]:
    root = Path(os.path.realpath(folder))
    for file in files:
        if file.state == "deleted" or (
            file.state == "pending_deletion" and not os.path.lexists(file.path)
        ):
            continue
        if (reason := _why_gone(file)) is not None:
            yield reason
        elif Path(os.path.realpath(file.path)) != root / file.path.relative_to(folder):
            yield f"{file.path}: it is reached through a symbolic link"


def _why_gone(file: MicroscopeFile) -> str | None:
    if file.state == "deleted":
        return f"{file.path}: deleted after its extraction"
    return ExpectedFile(file.path, file.size_bytes, file.mtime_ns).problem()
