"""What an inspection tells, with every series described and nothing raised."""

import re
from dataclasses import dataclass

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.readers.bioformats import Inspection
from imextract.readers.registry import choose_reader
from imextract.registration.ome import Ome, OmeImage
from imextract.registration.ome_xml import parse_ome_xml

__all__ = ["Inspected", "read_inspection"]


# Logged for most sound files of some vendors, about words that we do not read.
_NO_NEWS = re.compile(r'will be stored as "Other"$|^SamplesPerPixel mismatch: OME=-1')

_MOST_WARNINGS = 5


@dataclass(frozen=True, slots=True)
class Inspected:
    """The reader and the metadata of a data set; `ome.images` are its series."""

    reader: str
    ome: Ome
    warnings: tuple[str, ...]


def read_inspection(inspection: Inspection, settings: Settings) -> Inspected:
    """Choose the reader and read the metadata; what fails becomes a warning.

    Parameters
    ----------
    inspection
        What Bio-Formats told of the data set.
    settings
        How files are read.
    """
    news = [text for text in dict.fromkeys(inspection.warnings) if not _NO_NEWS.search(text)]
    warnings = [f"Bio-Formats warns: {text}" for text in news[:_MOST_WARNINGS]]
    if len(news) > _MOST_WARNINGS:
        warnings.append(f"Bio-Formats warns of {len(news) - _MOST_WARNINGS} more things")
    try:
        ome = parse_ome_xml(inspection.ome_xml)
    except SourceFileError as error:
        ome = Ome()
        warnings.append(f"names, positions and times are left out: {error}")
    series = _of_series(ome, len(inspection.structure))
    return Inspected(choose_reader(inspection, settings), series, tuple(warnings))


def _of_series(ome: Ome, count: int) -> Ome:
    images = list(ome.images[:count])
    images.extend(OmeImage(id=f"series {index}") for index in range(len(images), count))
    return Ome(tuple(images), ome.plates)
