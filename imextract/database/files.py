"""Queries about microscope files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from imextract.checksum import checksum_of_bytes
from imextract.database.experiments import acquisition_ids
from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    MicroscopeImageFileRow,
    MicroscopeMetadataFileRow,
    SourcePlaneRow,
)
from imextract.database.states import FILE_MOVES

__all__ = [
    "MicroscopeDataSet",
    "MicroscopeFile",
    "are_pending",
    "data_sets_of_entries",
    "entries_at",
    "entries_of_acquisitions",
    "entries_of_extracted",
    "files_at",
    "has_files_read_by",
    "has_freed_files",
    "move_files",
    "overlapping_acquisitions",
    "pending_files",
    "unfinished_files",
    "unfinished_planes",
]

File = MicroscopeImageFileRow

# As many values as are bound in one statement; SQLite of old takes 999.
_CHUNK = 900


@dataclass(frozen=True, slots=True)
class MicroscopeFile:
    """A microscope file as it was seen at registration; `id` None for metadata.

    `folder` is the registered one, `identity` what it was when its deletion was recorded.
    One that `is_held` has, by itself or in its data set, planes that nobody stores.
    """

    id: int | None
    folder: Path
    path: Path
    size_bytes: int
    mtime_ns: int
    holds_pixels: bool
    state: str
    identity: str | None = None
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class MicroscopeDataSet:
    """Files that are read together, through the entry."""

    entry: MicroscopeFile
    companions: tuple[MicroscopeFile, ...]
    reader: str
    folder: Path

    @property
    def files(self) -> tuple[MicroscopeFile, ...]:
        """The entry and its companions."""
        return self.entry, *self.companions

    @property
    def stamp(self) -> str:
        """A checksum of the names, sizes and times of all files, as they were registered."""
        seen = sorted((str(f.path), f.size_bytes, f.mtime_ns) for f in self.files)
        return checksum_of_bytes(repr(seen).encode("utf-8", "surrogateescape"))

    @property
    def entry_id(self) -> int:
        """Id of the entry."""
        return cast(int, self.entry.id)


def entries_of_acquisitions(session: Session, acquisitions: Iterable[int]) -> Iterator[int]:
    """Give the ids of all entries of some acquisitions."""
    query = select(File.id).where(
        File.acquisition_id.in_(list(acquisitions)), File.entry_id.is_(None)
    )
    yield from session.scalars(query.order_by(File.id))


def entries_of_extracted(session: Session, experiment_id: int) -> Iterator[int]:
    """Give the ids of all entries that extracted planes of an experiment come from, in order."""
    depends = exists().where(
        SourcePlaneRow.microscope_image_file_id == File.id,
        SourcePlaneRow.channel_image_file_id == ChannelImageFileRow.id,
        ChannelImageFileRow.state == "extracted",
    )
    for acquisition_id in acquisition_ids(session, experiment_id):
        query = select(File.id).where(File.acquisition_id == acquisition_id, depends)
        yield from session.scalars(query.order_by(File.id)).all()


def data_sets_of_entries(
    session: Session, entry_ids: Iterable[int]
) -> dict[int, MicroscopeDataSet]:
    """Give data sets by the id of their entry."""
    wanted = list(entry_ids)
    return {
        entry_id: data_set
        for start in range(0, len(wanted), _CHUNK)
        for entry_id, data_set in _data_sets(session, wanted[start : start + _CHUNK]).items()
    }


def _data_sets(session: Session, entry_ids: list[int]) -> dict[int, MicroscopeDataSet]:
    companions: dict[int, list[MicroscopeFile]] = {entry_id: [] for entry_id in entry_ids}
    query = (
        select(File, AcquisitionRow.folder)
        .join(AcquisitionRow, AcquisitionRow.id == File.acquisition_id)
        .order_by(File.id)
    )
    for row, folder in session.execute(query.where(File.entry_id.in_(entry_ids))):
        companions[cast(int, row.entry_id)].append(_file(row, folder))
    metadata = (
        select(MicroscopeMetadataFileRow, AcquisitionRow.folder)
        .join(AcquisitionRow, AcquisitionRow.id == MicroscopeMetadataFileRow.acquisition_id)
        .where(MicroscopeMetadataFileRow.entry_id.in_(entry_ids))
        .order_by(MicroscopeMetadataFileRow.id)
    )
    for text, folder in session.execute(metadata):
        base, path = Path(folder), Path(folder, text.path)
        companions[text.entry_id].append(
            MicroscopeFile(None, base, path, text.size_bytes, text.mtime_ns, False, "present")
        )
    return {
        row.id: MicroscopeDataSet(
            entry=_file(row, folder),
            companions=tuple(companions[row.id]),
            reader=row.reader,
            folder=Path(folder),
        )
        for row, folder in session.execute(query.where(File.id.in_(entry_ids)))
    }


def _file(row: MicroscopeImageFileRow, folder: str) -> MicroscopeFile:
    return MicroscopeFile(
        id=row.id,
        folder=Path(folder),
        path=Path(folder, row.path),
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        holds_pixels=row.holds_pixels,
        state=row.state,
        identity=row.identity,
        is_held=row.is_held,
    )


def overlapping_acquisitions(session: Session, folder: Path) -> list[tuple[int, Path]]:
    """Give every acquisition, of any experiment, that may hold files of a folder."""
    every = session.execute(select(AcquisitionRow.id, AcquisitionRow.folder))
    return [
        (acquisition_id, Path(other))
        for acquisition_id, other in every
        if folder.is_relative_to(other) or Path(other).is_relative_to(folder)
    ]


def files_at(
    session: Session, acquisitions: Iterable[tuple[int, Path]], paths: Iterable[Path]
) -> list[tuple[int, int]]:
    """Find files by their paths in some acquisitions, given with their folders.

    Returns
    -------
    list of (file id, entry id)
        A file may be registered more than once.
    """
    wanted = list(paths)
    found: list[tuple[int, int]] = []
    for acquisition_id, folder in acquisitions:
        below = [p.relative_to(folder).as_posix() for p in wanted if p.is_relative_to(folder)]
        for start in range(0, len(below), _CHUNK):
            query = select(File.id, File.entry_id).where(
                File.acquisition_id == acquisition_id, File.path.in_(below[start : start + _CHUNK])
            )
            found += [(row_id, entry_id or row_id) for row_id, entry_id in session.execute(query)]
    return found


def has_freed_files(session: Session, experiment_id: int) -> bool:
    """Say whether a file of the experiment is deleted, or about to be."""
    query = (
        select(File.id)
        .where(File.acquisition_id.in_(acquisition_ids(session, experiment_id)))
        .where(File.state != "present")
        .limit(1)
    )
    return session.scalar(query) is not None


def has_files_read_by(session: Session, experiment_id: int, reader: str) -> bool:
    """Say whether a reader reads any file of the experiment."""
    query = (
        select(File.id)
        .where(File.acquisition_id.in_(acquisition_ids(session, experiment_id)))
        .where(File.entry_id.is_(None), File.reader == reader)
        .limit(1)
    )
    return session.scalar(query) is not None


def pending_files(session: Session, experiment_id: int) -> list[tuple[int, Path]]:
    """Give the files of an experiment that are about to be deleted, by the ids of their rows."""
    query = (
        select(File.id, AcquisitionRow.folder, File.path)
        .join(AcquisitionRow, AcquisitionRow.id == File.acquisition_id)
        .where(File.acquisition_id.in_(acquisition_ids(session, experiment_id)))
        .where(File.state == "pending_deletion")
    )
    return [(row_id, Path(folder, path)) for row_id, folder, path in session.execute(query)]


def are_pending(session: Session, file_ids: Iterable[int], identity: str | None) -> bool:
    """Whether files are still about to be deleted, as what they were when they were proven."""
    query = select(File.state, File.identity).where(File.id.in_(list(file_ids)))
    found = session.execute(query).all()
    return all(
        state == "deleted" or (state == "pending_deletion" and identity in (None, seen))
        for state, seen in found
    )


def entries_at(session: Session, acquisition_id: int, paths: Iterable[str]) -> dict[str, int]:
    """Give the ids of the entries of an acquisition at relative paths."""
    wanted = sorted(paths)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = select(File.path, File.id).where(
            File.acquisition_id == acquisition_id,
            File.entry_id.is_(None),
            File.path.in_(wanted[start : start + _CHUNK]),
        )
        found.update((path, row_id) for path, row_id in session.execute(query))
    return found


def move_files(session: Session, file_ids: Iterable[int], state: str, **values: object) -> None:
    """Record that files are present, about to be deleted, or deleted, if they can be that."""
    wanted = list(file_ids)
    before = [old for old, moves in FILE_MOVES.items() if state in moves]
    for start in range(0, len(wanted), _CHUNK):
        session.execute(
            update(File)
            .where(File.id.in_(wanted[start : start + _CHUNK]), File.state.in_(before))
            .values(state=state, **values)
            .execution_options(synchronize_session=False)
        )


def unfinished_planes(session: Session, acquisition_id: int) -> int:
    """Count the planes of an acquisition that are planned or failed."""
    query = select(func.count()).where(
        ChannelImageFileRow.acquisition_id == acquisition_id,
        ChannelImageFileRow.state.in_(("planned", "failed")),
    )
    return session.scalar(query) or 0


def unfinished_files(
    session: Session, acquisition_id: int, most: int
) -> list[tuple[Path, str | None]]:
    """Give the entries of planes of an acquisition that are planned or failed, in order.

    Returns
    -------
    list of (path, error)
        The error of one of its planes; None if none failed.
    """
    query = (
        select(AcquisitionRow.folder, File.path, func.min(ChannelImageFileRow.error))
        .join(SourcePlaneRow, SourcePlaneRow.microscope_image_file_id == File.id)
        .join(ChannelImageFileRow, ChannelImageFileRow.id == SourcePlaneRow.channel_image_file_id)
        .join(AcquisitionRow, AcquisitionRow.id == File.acquisition_id)
        .where(
            ChannelImageFileRow.acquisition_id == acquisition_id,
            ChannelImageFileRow.state.in_(("planned", "failed")),
        )
        .group_by(File.id, AcquisitionRow.folder, File.path)
        .order_by(File.id)
        .limit(most)
    )
    return [(Path(folder, path), error) for folder, path, error in session.execute(query)]
