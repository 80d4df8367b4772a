"""The readers by name, and which of them a file is given to."""

import logging
from collections.abc import Sequence
from pathlib import Path

from imextract.config import Settings
from imextract.errors import ConfigError
from imextract.readers.agreement import find_difference
from imextract.readers.bioformats import BioFormatsReader, Inspection
from imextract.readers.czi import CziReader
from imextract.readers.expected import ExpectedFile
from imextract.readers.lif import LifReader
from imextract.readers.nd2 import Nd2Reader
from imextract.readers.oib import OibReader
from imextract.readers.ome_tiff import OmeTiffReader
from imextract.readers.protocol import PlaneReader, ReaderKind
from imextract.readers.tiff import TiffReader

__all__ = ["READERS", "choose_reader", "open_reader"]

logger = logging.getLogger(__name__)

# In the order in which they are tried. Bio-Formats, which reads all, is last.
READERS: dict[str, ReaderKind] = {
    "tifffile": TiffReader,
    "ome-tiff": OmeTiffReader,
    "nd2": Nd2Reader,
    "lif": LifReader,
    "czi": CziReader,
    "oib": OibReader,
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

    A reader of our own is chosen only for a file of which a sample of planes was
    read by both, alike: it must count planes as Bio-Formats does, which, for
    one, inverts some pixels. Why another is not taken is logged.
    """
    for name, kind in READERS.items():
        if name == "bioformats" or not kind.may_read(inspection):
            continue
        difference = find_difference(kind, inspection, settings)
        if difference is None:
            return name
        logger.info("%s: read with Bio-Formats, not %s: %s", inspection.path, name, difference)
    return "bioformats"
