"""The readers by name, and which of them a file is given to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from imextract.config import Settings
from imextract.errors import ConfigError, ImextractError, SourceFileError
from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.bioformats import BioFormatsReader, Inspection
from imextract.readers.expected import ExpectedFile
from imextract.readers.protocol import PlaneReader
from imextract.readers.tiff import TiffReader

__all__ = ["READERS", "ReaderKind", "choose_reader", "open_reader"]


class ReaderKind(Protocol):
    """How a reader is opened, and whether it may read what Bio-Formats found."""

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


# In the order in which they are tried. Bio-Formats, which reads all, is last.
READERS: dict[str, ReaderKind] = {
    "tifffile": TiffReader,
    "bioformats": BioFormatsReader,
}


def open_reader(
    name: str,
    path: Path,
    settings: Settings,
    companions: Sequence[ExpectedFile] = (),
    folder: Path | None = None,
) -> PlaneReader:
    """Open a data set with the reader that its registration chose.

    Parameters
    ----------
    companions
        The files of the data set as they were registered.
    folder
        Nothing outside of it is read; by default the folder of the file.

    Raises
    ------
    ConfigError
        If there is no reader of that name.
    SourceFileError
        If the reader cannot open the file.
    """
    if name not in READERS:
        raise ConfigError(
            f"{path}: no reader is called {name!r}; expected one of {', '.join(READERS)}; "
            "register the folder again with this version"
        )
    return READERS[name](path, settings, companions, folder)


def choose_reader(inspection: Inspection, settings: Settings) -> str:
    """Choose the first reader that gives what Bio-Formats gives.

    A reader of our own is chosen only where its series have the same sizes and
    types, and the first and the last plane of the file the same pixels: it must
    count planes as Bio-Formats does, which, for one, inverts some pixels.
    """
    return next(
        name
        for name, kind in READERS.items()
        if name == "bioformats"
        or (kind.may_read(inspection) and _agrees(kind, inspection, settings))
    )


def _agrees(kind: ReaderKind, inspection: Inspection, settings: Settings) -> bool:
    last = len(inspection.structure) - 1
    samples = {PlaneRef(0, 0), PlaneRef(last, inspection.structure[last].plane_count - 1)}
    try:
        with kind(inspection.path, settings) as ours:
            if list(map(_shape, ours.structure)) != list(map(_shape, inspection.structure)):
                return False
            found = {ref: ours.read_plane(ref) for ref in samples}
    except ImextractError:
        # Whatever a reader cannot honour is left to Bio-Formats.
        return False
    return all(_is_what_bioformats_gives(inspection, settings, ref, found[ref]) for ref in samples)


def _shape(series: SeriesStructure) -> tuple[int, tuple[int, int], str]:
    return series.plane_count, series.shape, series.dtype


def _is_what_bioformats_gives(
    inspection: Inspection, settings: Settings, ref: PlaneRef, plane: PixelArray
) -> bool:
    try:
        with BioFormatsReader(inspection.path, settings, (), inspection.folder) as theirs:
            return np.array_equal(plane, theirs.read_plane(ref), equal_nan=True)
    except SourceFileError:
        # What Bio-Formats cannot decode, our reader could, every strip of it.
        return True
