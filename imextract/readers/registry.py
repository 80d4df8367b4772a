"""The readers by name, and which of them a file is given to."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imextract.config import Settings
from imextract.errors import ConfigError, ImextractError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader, Inspection
from imextract.readers.expected import ExpectedFile
from imextract.readers.protocol import PlaneReader
from imextract.readers.tiff import TiffReader, is_tiff

__all__ = ["READERS", "choose_reader", "open_reader"]

ReaderFactory = Callable[[Path, Settings, Sequence[ExpectedFile]], PlaneReader]

READERS: dict[str, ReaderFactory] = {
    "bioformats": BioFormatsReader,
    "tifffile": lambda path, _settings, companions: TiffReader(path, companions),
}


def open_reader(
    name: str, path: Path, settings: Settings, companions: Sequence[ExpectedFile] = ()
) -> PlaneReader:
    """Open a data set with the reader that its registration chose.

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
    return READERS[name](path, settings, companions)


def choose_reader(inspection: Inspection, settings: Settings) -> str:
    """Choose the fastest reader that gives what Bio-Formats gives.

    Only plain TIFF is ever given to tifffile, and only where the first and the
    last plane are the same both ways: Bio-Formats inverts some pixels.
    """
    is_plain = (
        inspection.format_name == "Tagged Image File Format"
        and len(inspection.structure) == 1
        and is_tiff(inspection.path)
    )
    return "tifffile" if is_plain and _agree(inspection, settings) else "bioformats"


def _agree(inspection: Inspection, settings: Settings) -> bool:
    (expected,) = inspection.structure
    try:
        with TiffReader(inspection.path) as ours:
            (found,) = ours.structure
            if (found.plane_count, found.shape, found.dtype) != (
                expected.plane_count,
                expected.shape,
                expected.dtype,
            ):
                return False
            with BioFormatsReader(inspection.path, settings) as theirs:
                return all(
                    np.array_equal(ours.read_plane(ref), theirs.read_plane(ref), equal_nan=True)
                    for ref in (PlaneRef(0, 0), PlaneRef(0, expected.plane_count - 1))
                )
    except ImextractError:
        # Whatever tifffile cannot honour is left to Bio-Formats.
        return False
