"""What the readers of vendors' formats share: all but the format."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import numpy as np

from imextract.closing import Closing
from imextract.config import Settings
from imextract.errors import ImextractError, PlaneNotFoundError, SourceFileError
from imextract.planes import PIXEL_TYPES, PixelArray, PlaneRef, SeriesStructure
from imextract.readers.expected import ExpectedFile, refuse_changed
from imextract.readers.inspection import Inspection
from imextract.readers.read_ahead import Part, read_parts_ahead
from imextract.readers.source import open_source

__all__ = ["NativeReader"]


class NativeReader(Closing):
    """One file of a vendor's format, its planes numbered as Bio-Formats does.

    A subclass refuses what it cannot map onto Bio-Formats' series and planes
    with certainty, and any plane that is not wholly in the file.

    Parameters
    ----------
    path
        The file.
    settings
        Not needed: nothing is started.
    companions
        The file as it was registered.
    folder
        Not needed: no other file is read.

    Raises
    ------
    SourceFileError
        If the file is not whole, or holds what the reader leaves to Bio-Formats.
    """

    format_name: ClassVar[str]
    knows_dimensions: ClassVar[bool] = True

    def __init__(
        self,
        path: Path,
        settings: Settings | None = None,  # noqa: ARG002  as every reader is opened
        companions: Sequence[ExpectedFile] = (),
        folder: Path | None = None,  # noqa: ARG002  it reads no other file
    ) -> None:
        refuse_changed(path, companions)
        self._path = path
        self._stream = open_source(path)
        self._length = os.fstat(self._stream.fileno()).st_size
        try:
            with self._fence("the file"):
                self._structure = tuple(self._open())
            self._check_types()
        except BaseException:
            self.close()
            raise

    @classmethod
    def may_read(cls, inspection: Inspection) -> bool:
        """Say whether a data set is one file of the format."""
        is_alone = inspection.used_files == (inspection.path,)
        return inspection.format_name == cls.format_name and is_alone

    @property
    def structure(self) -> tuple[SeriesStructure, ...]:
        """The structure of every series."""
        return self._structure

    def read_plane(self, ref: PlaneRef) -> PixelArray:
        """Read one plane as stored, as `PlaneReader.read_plane`."""
        self._check_ref(ref)
        what = f"series {ref.series}, plane {ref.plane}"
        with self._fence(what):
            plane = self._decode(ref)
        expected = self._structure[ref.series]
        if plane.shape != expected.shape or plane.dtype.name != expected.dtype:
            raise SourceFileError(
                f"{self._path}: {what}: expected {expected.shape} {expected.dtype}, "
                f"got {plane.shape} {plane.dtype}; read the file with Bio-Formats"
            )
        own: PixelArray = np.require(plane, plane.dtype.newbyteorder("="), ["C", "W"])
        return own

    def prefetch(self, ref: PlaneRef) -> None:
        """Have the disk read what holds a plane, where the format tells it."""
        with suppress(PlaneNotFoundError):
            self._check_ref(ref)
            read_parts_ahead(self._stream, self._parts(ref))

    @abstractmethod
    def _open(self) -> Sequence[SeriesStructure]:
        """Find out what the file holds."""

    @abstractmethod
    def _decode(self, ref: PlaneRef) -> PixelArray:
        """Give a plane that lies in the structure, in any byte order.

        An array that can be written to is given away; a view of what is kept can be read only.
        """

    def _parts(self, ref: PlaneRef) -> Iterable[Part]:
        """Tell where in the file a plane of the structure lies; nowhere, if that is not known."""
        del ref
        return ()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _left_to_bioformats(self, reason: str) -> SourceFileError:
        return SourceFileError(f"{self._path}: {reason}; read the file with Bio-Formats")

    def _check_ref(self, ref: PlaneRef) -> None:
        counts = [series.plane_count for series in self._structure]
        if not (0 <= ref.series < len(counts) and 0 <= ref.plane < counts[ref.series]):
            raise PlaneNotFoundError(
                f"{self._path}: no plane {ref.plane} of series {ref.series}: the file has "
                f"{len(counts)} series of {counts[:5]} planes; register the folder again"
            )

    def _check_types(self) -> None:
        for series in self._structure:
            if series.dtype not in PIXEL_TYPES or series.plane_count < 1:
                raise self._left_to_bioformats(
                    f"{series.plane_count} planes of type {series.dtype}; expected planes of "
                    f"{', '.join(PIXEL_TYPES)}"
                )

    @contextmanager
    def _fence(self, what: str) -> Iterator[None]:
        try:
            yield
        except ImextractError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                # The disk, not the file: who reads says so.
                raise
            # The libraries of the formats stumble over damage in every way there is.
            raise SourceFileError(
                f"{self._path}: {what} cannot be read: {type(error).__name__}: {error}; "
                "replace the file by a whole one"
            ) from error
