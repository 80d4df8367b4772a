"""Rows of microscope files, found or made by the thousand."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from imextract.database.ids import Ids, insert_tuples
from imextract.database.models import (
    Base,
    ChannelImageFileRow,
    MicroscopeImageFileRow,
    MicroscopeMetadataFileRow,
    SourcePlaneRow,
)
from imextract.database.types import escape_name
from imextract.errors import RegistrationError
from imextract.registration.manifest import DataSet, Problem, SourceFile

__all__ = ["DataSetRows"]

File = MicroscopeImageFileRow
Values: TypeAlias = dict[str, Any]

# Files of one kind that are named.
_MOST_NAMED = 20

_REPLANNED = "has changed since it was registered: its planes are planned anew"
_RENEWED = "has changed since it was registered: its text is kept anew"
_KEPT = (
    "the file, or one that belongs to it, has changed since its planes were extracted; "
    "what was extracted is kept, nothing is planned anew. Register the folder as a new "
    "experiment, or with another --acquisition name"
)

# As many values as are bound in one statement; SQLite of old takes 999.
_CHUNK = 900


class DataSetRows:
    """Gives the ids of entries, makes the rows of data sets that are new.

    Parameters
    ----------
    folder
        The registered folder.
    """

    def __init__(self, session: Session, ids: Ids, folder: Path) -> None:
        self._session = session
        self._ids = ids
        self._folder = folder
        self._replanned: list[str] = []
        self._renewed: list[str] = []
        self._kept: list[str] = []
        self._known: defaultdict[int, dict[str, int]] = defaultdict(dict)

    def look_up(self, acquisition_id: int, data_sets: Iterable[DataSet]) -> None:
        """Find the data sets of an acquisition that was registered before.

        One that changed before any of its planes was extracted is forgotten,
        to be planned anew.

        Raises
        ------
        RegistrationError
            If a file is read through another entry than before.
        """
        known = self._known[acquisition_id]
        wanted = {one.entry.path: one for one in data_sets if one.entry.path not in known}
        rows = {row.path: row for row in self._rows_at(acquisition_id, wanted)}
        seen = self._seen_before(rows.values())
        for path, row in rows.items():
            if row.entry_id is not None:
                raise RegistrationError(
                    f"{self._folder / path}: it was registered as part of another data set and "
                    "is now one of its own; register the folder as a new experiment, or with "
                    "another --acquisition name"
                )
            if seen[row.id] == _states(wanted[path]) or self._is_kept(row):
                known[path] = row.id

    def add(self, acquisition_id: int, data_sets: Sequence[DataSet]) -> None:
        """Write the data sets that are not known yet."""
        known = self._known[acquisition_id]
        new = [one for one in data_sets if one.entry.path not in known]
        if not new:
            return
        entry_ids = self._ids.take(File, len(new))
        known.update(zip((one.entry.path for one in new), entry_ids, strict=True))
        pairs = list(zip(entry_ids, new, strict=True))
        self._insert(File, [_entry(acquisition_id, *pair) for pair in pairs])
        images = [row for pair in pairs for row in _images(acquisition_id, *pair)]
        image_ids = self._ids.take(File, len(images))
        numbered = [{"id": id_, **row} for id_, row in zip(image_ids, images, strict=True)]
        self._insert(File, numbered)
        metadata = [row for pair in pairs for row in _metadata(acquisition_id, *pair)]
        self._insert(MicroscopeMetadataFileRow, metadata)

    def known(self, acquisition_id: int) -> Mapping[str, int]:
        """Give the ids of the entries of an acquisition, by their path."""
        return self._known[acquisition_id]

    @property
    def changed(self) -> int:
        """How many data sets of those looked up have changed since they were registered."""
        return len(self._replanned) + len(self._renewed) + len(self._kept)

    def problems(self) -> Iterator[Problem]:
        """Name the data sets that have changed since they were registered."""
        kinds = (_REPLANNED, self._replanned), (_RENEWED, self._renewed), (_KEPT, self._kept)
        for text, paths in kinds:
            for path in paths[:_MOST_NAMED]:
                yield Problem("warning", path, text)
            if len(paths) > _MOST_NAMED:
                yield Problem("warning", None, f"{len(paths) - _MOST_NAMED} more files: {text}")

    def note_vanished(self, acquisition_id: int, present: set[str]) -> Iterator[Problem]:
        """Name files of an acquisition that are neither here nor on disk any more."""
        query = select(File.path).where(
            File.acquisition_id == acquisition_id, File.state == "present"
        )
        for path in self._session.scalars(query.order_by(File.id)):
            if path not in present and not (self._folder / path).exists():
                text = "vanished since it was registered: planes not extracted yet will fail"
                yield Problem("warning", path, text)

    def _insert(self, model: type[Base], rows: list[Values]) -> None:
        if rows:
            tuples = [tuple(row.values()) for row in rows]
            insert_tuples(self._session, model, tuple(rows[0]), tuples)

    def _rows_at(self, acquisition_id: int, paths: Iterable[str]) -> Iterator[File]:
        wanted = list(paths)
        for start in range(0, len(wanted), _CHUNK):
            yield from self._session.scalars(
                select(File).where(
                    File.acquisition_id == acquisition_id,
                    File.path.in_(wanted[start : start + _CHUNK]),
                )
            )

    def _seen_before(self, rows: Iterable[File]) -> dict[int, set[tuple[str, int, int]]]:
        """Give path, size and time of all files of the entries, as they were registered."""
        seen = {row.id: {(row.path, row.size_bytes, row.mtime_ns)} for row in rows}
        wanted = list(seen)
        for table in (File, MicroscopeMetadataFileRow):
            columns = table.entry_id, table.path, table.size_bytes, table.mtime_ns
            for start in range(0, len(wanted), _CHUNK):
                query = select(*columns).where(table.entry_id.in_(wanted[start : start + _CHUNK]))
                for entry_id, path, size, time in self._session.execute(query):
                    seen[entry_id].add((path, size, time))
        return seen

    def _is_kept(self, entry: File) -> bool:
        """Decide about a data set that changed: its row stays if a plane was extracted."""
        dependent = select(SourcePlaneRow.channel_image_file_id).where(
            SourcePlaneRow.microscope_image_file_id == entry.id
        )
        extracted = self._session.scalar(
            select(ChannelImageFileRow.id).where(
                ChannelImageFileRow.id.in_(dependent), ChannelImageFileRow.state == "extracted"
            )
        )
        if extracted is not None:
            self._kept.append(entry.path)
            return True
        has_planes = self._session.scalar(dependent.limit(1)) is not None
        self._session.execute(
            delete(ChannelImageFileRow).where(ChannelImageFileRow.id.in_(dependent))
        )
        self._session.delete(entry)
        self._session.flush()
        # Metadata of the microscope are a data set of no plane.
        (self._replanned if has_planes else self._renewed).append(entry.path)
        return False


def _states(data_set: DataSet) -> set[tuple[str, int, int]]:
    files = (data_set.entry, *data_set.companions)
    return {(file.path, file.size_bytes, file.mtime_ns) for file in files}


def _entry(acquisition_id: int, entry_id: int, data_set: DataSet) -> Values:
    text = data_set.metadata_text
    return {
        "id": entry_id,
        "acquisition_id": acquisition_id,
        "entry_id": None,
        **_kind(data_set),
        **_seen(data_set.entry),
        "holds_pixels": data_set.entry.holds_pixels,
        "metadata_text": None if text is None else zlib.compress(text.encode("utf-8", "replace")),
    }


def _images(acquisition_id: int, entry_id: int, data_set: DataSet) -> Iterator[Values]:
    for file in data_set.companions:
        if file.holds_pixels:
            yield {
                "acquisition_id": acquisition_id,
                "entry_id": entry_id,
                **_kind(data_set),
                **_seen(file),
                "holds_pixels": True,
                "metadata_text": None,
            }


def _metadata(acquisition_id: int, entry_id: int, data_set: DataSet) -> Iterator[Values]:
    for file in data_set.companions:
        if not file.holds_pixels:
            yield {"acquisition_id": acquisition_id, "entry_id": entry_id, **_seen(file)}


def _kind(data_set: DataSet) -> Values:
    return {
        "reader": data_set.reader,
        "format_name": data_set.format_name,
        "state": "present",
        "is_held": data_set.is_held,
    }


def _seen(file: SourceFile) -> Values:
    return {
        "path": escape_name(file.path),
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
    }
