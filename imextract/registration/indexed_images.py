"""What types share whose index (XML) names the file of every plane."""

import html
import re
from collections.abc import Collection, Iterable, Iterator

from imextract.errors import RegistrationError
from imextract.readers.source import open_source
from imextract.registration.files import FoundFiles
from imextract.registration.left_out import left_out
from imextract.registration.manifest import Problem
from imextract.registration.vendor_xml import encoding_of, joined, read_head
from imextract.registration.wells import LAST_COLUMN, LAST_ROW, well_name

__all__ = ["is_tiff_name", "named_files", "ranks", "unnamed_problems", "well_of"]

_TIFFS = (".tif", ".tiff")


def is_tiff_name(path: str) -> bool:
    """Tell by its name whether a file is a TIFF."""
    return path.lower().endswith(_TIFFS)


def named_files(found: FoundFiles, entry: str, pattern: re.Pattern[bytes]) -> Iterator[str]:
    """Give the files that an index names, as far as they are there.

    Much faster than reading the index, and so fit for a claim. The pattern's
    group "name" is the name of a file.
    """
    folder = entry.rpartition("/")[0]
    encoding = encoding_of(read_head(found.folder / entry))
    with open_source(found.folder / entry) as stream:
        for line in stream:
            for match in pattern.finditer(line):
                name = html.unescape(match["name"].decode(encoding, "replace")).strip()
                path = joined(folder, name)
                if path in found.files:
                    yield path


def unnamed_problems(
    entry: str, images: Iterable[str], named: Collection[str]
) -> Iterator[Problem]:
    """Name the images that lie beside an index that does not name them."""
    others = [path for path in images if path not in named]
    yield from left_out(others, f"is not named by {entry}")


def ranks(numbers: Iterable[int]) -> dict[int, int]:
    """Count the numbers of a microscope from zero, in their order."""
    return {number: rank for rank, number in enumerate(sorted(set(numbers)))}


def well_of(entry: str, row: int, column: int, image: str) -> str:
    """Name the well of a row and a column that count from one.

    Raises
    ------
    RegistrationError
        If no plate has such a well.
    """
    if not (1 <= row <= LAST_ROW + 1 and 1 <= column <= LAST_COLUMN + 1):
        raise RegistrationError(
            f"{entry}: row {row}, column {column} of {image!r}: expected rows 1 to {LAST_ROW + 1} "
            f"and columns 1 to {LAST_COLUMN + 1}; copy the file again from the microscope"
        )
    return well_name(row - 1, column - 1)
