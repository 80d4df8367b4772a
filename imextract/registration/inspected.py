"""The metadata of an inspection, with every series described and nothing raised."""

import re
from dataclasses import dataclass

from imextract.errors import SourceFileError
from imextract.readers.bioformats import Inspection
from imextract.registration.ome import Ome, OmeImage
from imextract.registration.ome_xml import parse_ome_xml

__all__ = ["Inspected", "read_inspection"]


# Logged for most sound files of some vendors, about words that we do not read.
_NO_NEWS = re.compile(r'will be stored as "Other"$|^SamplesPerPixel mismatch: OME=-1')

_MOST_WARNINGS = 5


@dataclass(frozen=True, slots=True)
class Inspected:
    """The metadata of a data set; `ome.images` are its series."""

    ome: Ome
    warnings: tuple[str, ...]


def read_inspection(inspection: Inspection) -> Inspected:
    """Read what the metadata tell; what fails becomes a warning."""
    news = [text for text in dict.fromkeys(inspection.warnings) if not _NO_NEWS.search(text)]
    warnings = [f"Bio-Formats warns: {text}" for text in news[:_MOST_WARNINGS]]
    if len(news) > _MOST_WARNINGS:
        warnings.append(f"Bio-Formats warns of {len(news) - _MOST_WARNINGS} more things")
    try:
        ome = parse_ome_xml(inspection.ome_xml) if inspection.ome_xml else Ome()
    except SourceFileError as error:
        ome = Ome()
        warnings.append(f"names, positions and times are left out: {error}")
    return Inspected(_of_series(ome, len(inspection.structure)), tuple(warnings))


def _of_series(ome: Ome, count: int) -> Ome:
    images = list(ome.images[:count])
    images.extend(OmeImage(id=f"series {index}") for index in range(len(images), count))
    return Ome(tuple(images), ome.plates)
