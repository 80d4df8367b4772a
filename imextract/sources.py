"""Reading the planes of a batch from their microscope files, each file opened once."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from imextract.closing import Closing
from imextract.config import Settings
from imextract.database.files import MicroscopeDataSet, MicroscopeFile, data_sets_of_entries
from imextract.database.planes import PlaneRecord, SourcePlane
from imextract.database.session import Database
from imextract.errors import ImextractError, PlaneMismatchError, SourceFileError
from imextract.planes import PixelArray
from imextract.projection import project_maximum
from imextract.readers.expected import MOST_OPEN, ExpectedFile
from imextract.readers.protocol import PlaneReader
from imextract.readers.read_ahead import read_file_ahead
from imextract.readers.registry import open_reader

__all__ = ["SourceReader", "with_next"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

# What stands before the first plane of a file, at most; if it is more, it is read when needed.
_HEAD_BYTES = 2**16

# Of a plate of thousands, each plane would otherwise look at all.
_MOST_WATCHED = 64


class SourceReader(Closing):
    """Opened microscope files of a batch.

    A file that cannot be opened is tried once; all its planes then fail with
    the same error.
    """

    def __init__(self, data_sets: Mapping[int, MicroscopeDataSet], settings: Settings) -> None:
        self._data_sets = data_sets
        self._settings = settings
        self._open: dict[int, _Opened] = {}
        self._broken: dict[int, SourceFileError] = {}
        self._stamps: dict[int, str] = {}

    @classmethod
    def of(cls, database: Database, settings: Settings, planes: Iterable[PlaneRecord]) -> Self:
        """Give a reader of these planes.

        Raises
        ------
        LedgerError
        """
        reader = cls({}, settings)
        reader.turn_to(database, planes)
        return reader

    def turn_to(self, database: Database, planes: Iterable[PlaneRecord]) -> None:
        """Read other planes from now on; what is open of their files stays open.

        Raises
        ------
        LedgerError
        """
        entries = {source.entry_id for plane in planes for source in plane.sources}
        with database.reading() as session:
            found = data_sets_of_entries(session, sorted(entries))
        others = {e for e, known in self._data_sets.items() if found.get(e) != known}
        for entry_id in others & self._open.keys():
            self._close(entry_id)
        for entry_id in others:
            self._broken.pop(entry_id, None)
            self._stamps.pop(entry_id, None)
        self._data_sets = found

    def stamp(self, plane: PlaneRecord) -> str:
        """Tell the state of the files of a plane, as they were registered."""
        for source in plane.sources:
            if source.entry_id not in self._stamps:
                self._stamps[source.entry_id] = self._data_sets[source.entry_id].stamp
        return ",".join(self._stamps[source.entry_id] for source in plane.sources)

    def read(self, plane: PlaneRecord) -> PixelArray:
        """Read a plane, or the maximum projection of its several sources.

        Returns
        -------
        ndarray, shape (height, width), dtype as planned, native byte order

        Raises
        ------
        SourceFileError, PlaneNotFoundError
            If a source cannot be read, wholly and with certainty.
        PlaneMismatchError
            If the pixels are not of the planned size and type.
        """
        pixels = project_maximum(self._read_sources(plane))
        if pixels.shape != (plane.height, plane.width) or pixels.dtype.name != plane.dtype:
            source = plane.sources[0]
            raise PlaneMismatchError(
                f"{source.source_file}: series {source.ref.series}, plane {source.ref.plane} is "
                f"{pixels.shape[0]} x {pixels.shape[1]} {pixels.dtype}, registered was "
                f"{plane.height} x {plane.width} {plane.dtype}; register the folder again"
            )
        return pixels

    def prefetch(self, plane: PlaneRecord) -> None:
        """Say which plane is read next; its reader, or the disk, may start on it."""
        self._prefetch(plane, plane.sources[0])

    def _prefetch(self, plane: PlaneRecord, source: SourcePlane) -> None:
        if source.entry_id in self._open:
            self._open[source.entry_id].reader.prefetch(source.ref)
        elif source.entry_id not in self._broken:
            data_set = self._data_sets[source.entry_id]
            most = plane.height * plane.width * np.dtype(plane.dtype).itemsize + _HEAD_BYTES
            with suppress(SourceFileError):
                _check_place(data_set.entry.path, data_set.folder)
                read_file_ahead(data_set.entry.path, most)

    def _read_sources(self, plane: PlaneRecord) -> Iterator[PixelArray]:
        for source, following in with_next(plane.sources):
            pixels = self._read_source(source)
            if following is not None:
                self._prefetch(plane, following)
            yield pixels

    def _read_source(self, source: SourcePlane) -> PixelArray:
        opened = self._opened(source)
        with _disk_errors_named(source.source_file):
            pixels = opened.reader.read_plane(source.ref)
        # A file that was changed while it was read gave who knows what.
        for file in opened.watched:
            _check_unchanged(file)
        return pixels

    def _opened(self, source: SourcePlane) -> "_Opened":
        if source.entry_id in self._broken:
            raise self._broken[source.entry_id]
        if source.entry_id not in self._open:
            while len(self._open) >= MOST_OPEN:
                self._close(next(iter(self._open)))
            try:
                self._open[source.entry_id] = self._open_set(self._data_sets[source.entry_id])
            except SourceFileError as error:
                self._broken[source.entry_id] = error
                raise
        return self._open[source.entry_id]

    def _open_set(self, data_set: MicroscopeDataSet) -> "_Opened":
        path, folder = data_set.entry.path, data_set.folder
        _check_place(path, folder)
        _check_unchanged(data_set.entry)
        stack = ExitStack()
        files = tuple(_expected(file) for file in data_set.files)
        watched = _watched(data_set)
        with _disk_errors_named(path):
            reader = open_reader(data_set.reader, path, self._settings, files, folder)
        stack.enter_context(reader)
        logger.debug("opened %s with %s", path, data_set.reader)
        return _Opened(reader, stack, watched)

    def _close(self, entry_id: int) -> None:
        self._open.pop(entry_id).stack.close()

    def close(self) -> None:
        """Close all files."""
        for entry_id in list(self._open):
            self._close(entry_id)


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open data set, and those of its files that must stay as they are."""

    reader: PlaneReader
    stack: ExitStack
    watched: tuple[MicroscopeFile, ...]


def _watched(data_set: MicroscopeDataSet) -> tuple[MicroscopeFile, ...]:
    """Give the files to look at after each plane: those that are good, unless they are many.

    With bad ones a reader may still give the planes of the others.
    """
    if len(data_set.files) > _MOST_WATCHED:
        return (data_set.entry,)
    return tuple(file for file in data_set.files if _expected(file).problem() is None)


@contextmanager
def _disk_errors_named(path: Path) -> Iterator[None]:
    """Let what the disk refuses cost the planes of this file, and not the job."""
    try:
        yield
    except ImextractError:
        raise
    except OSError as error:
        raise SourceFileError(
            f"{path}: cannot be read: {error.strerror or error}; mend its disk or connection, or "
            "bring the file back, and run again"
        ) from error


def _expected(file: MicroscopeFile) -> ExpectedFile:
    return ExpectedFile(file.path, file.size_bytes, file.mtime_ns)


def _check_place(path: Path, folder: Path) -> None:
    """Refuse a path that links, or a database that was tampered with, lead elsewhere."""
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(os.path.realpath(folder)):
        raise SourceFileError(
            f"{path}: leads to {real}, outside of the registered folder {folder}, which is all "
            "that is read; register the folder that it lies in"
        )


def _check_unchanged(file: MicroscopeFile) -> None:
    problem = _expected(file).problem()
    if problem is not None:
        raise SourceFileError(
            f"{problem}; bring the file back as it was, or register the folder again"
        )


def with_next(things: Sequence[T]) -> Iterator[tuple[T, T | None]]:
    """Give each thing with the one after it; the last with None."""
    yield from zip_longest(things, things[1:])
