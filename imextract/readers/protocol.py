"""What every reader of microscope files does."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from imextract.config import Settings
from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.expected import ExpectedFile
from imextract.readers.inspection import Inspection

__all__ = ["PlaneReader", "ReaderKind"]


class PlaneReader(Protocol):
    """One opened microscope file, read plane by plane.

    Opening is construction; leaving the context closes. A reader that cannot
    honour a series or plane raises; it never gives another one.
    """

    @property
    def structure(self) -> tuple[SeriesStructure, ...]:
        """The structure of every series of the file."""
        ...

    def read_plane(self, ref: PlaneRef) -> PixelArray:
        """Read one plane as stored, without rescaling.

        Parameters
        ----------
        ref
            Series and plane in the file, both zero-based.

        Returns
        -------
        ndarray, shape (height, width), dtype as in the file, native byte order
            Row 0 is the top of the image. The array owns its memory.

        Raises
        ------
        PlaneNotFoundError
            If the series or the plane lies outside the file.
        SourceFileError
            If the plane cannot be read or decoded, wholly and with certainty.
        """
        ...

    def prefetch(self, ref: PlaneRef) -> None:
        """Say which plane is read next, so that a reader may start on it.

        Only a hint: errors are kept for `read_plane`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ReaderKind(Protocol):
    """How a reader is opened, and whether it may read what Bio-Formats found."""

    @property
    def knows_dimensions(self) -> bool:
        """Whether it tells which dimension is z, c and t, or only counts planes."""
        ...

    def __call__(
        self,
        path: Path,
        settings: Settings,
        companions: Sequence[ExpectedFile] = (),
        folder: Path | None = None,
        /,
    ) -> PlaneReader:
        """Open a data set."""
        ...

    def may_read(self, inspection: Inspection) -> bool:
        """Say by the format alone whether the reader is worth a try."""
        ...
