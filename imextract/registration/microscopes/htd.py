"""The HTD file of an ImageXpress plate: what was to be taken, not what is there."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imextract.errors import SourceFileError
from imextract.registration.wells import parse_well_name, well_name

__all__ = ["KNOWN_VERSION", "LARGEST_HTD", "Htd", "is_htd", "parse_htd"]

KNOWN_VERSION = "Version 1.0"
LARGEST_HTD = 10 * 2**20

_MOST_WELLS_ALONG = 72
# More than any plate has; a number beyond is damage, and would be looped over.
_MOST = {
    "XWells": _MOST_WELLS_ALONG,
    "YWells": _MOST_WELLS_ALONG,
    "XSites": 200,
    "YSites": 200,
    "NWavelengths": 64,
    "TimePoints": 100_000,
    "ZSteps": 10_000,
}
_MOST_PLANES = 20_000_000
_LONGEST_LINE = 100_000
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_FIRST_KEY = "HTSInfoFile"


@dataclass(frozen=True, slots=True)
class Htd:
    """The plan of a plate's acquisition.

    Attributes
    ----------
    version
        As the file says, "Version 1.0".
    rows, columns
        Size of the plate in wells.
    wells
        Names of the selected wells, row by row.
    site_cells
        Zero-based grid position (y, x) of each site, in the order of their
        numbers; empty where the plate has one site and no grid.
    waves
        Names of the channels in order; empty names where none is given.
    tpoints, zsteps
        How many; 1 where there is no such series.
    """

    version: str
    rows: int
    columns: int
    wells: tuple[str, ...]
    site_cells: tuple[tuple[int, int], ...]
    waves: tuple[str, ...]
    tpoints: int
    zsteps: int

    @property
    def site_count(self) -> int:
        """Number of sites of a well."""
        return max(1, len(self.site_cells))

    @property
    def plane_count(self) -> int:
        """Number of planes that are declared."""
        sites = len(self.wells) * self.site_count
        return sites * len(self.waves) * self.tpoints * self.zsteps

    def has_well(self, name: str) -> bool:
        """Tell whether the plate has a well, selected or not."""
        row, column = parse_well_name(name)
        return row < self.rows and column < self.columns


def is_htd(text: str) -> bool:
    """Tell whether a text begins as an HTD file does."""
    return text.lstrip("\ufeff \t\r\n\"'").startswith(_FIRST_KEY)


def parse_htd(text: str) -> Htd:
    """Read an HTD file.

    Raises
    ------
    SourceFileError
        If it is none, or declares what no plate can have.
    """
    if not is_htd(text):
        raise SourceFileError(f"expected an HTD file that begins with {_FIRST_KEY!r}")
    values = _values(text)
    numbers = {key: _count(values, key) for key in _MOST}
    wells = _selected(values, "WellsSelection", numbers["YWells"], numbers["XWells"])
    htd = Htd(
        version="".join(values.get(_FIRST_KEY, ())[:1]),
        rows=numbers["YWells"],
        columns=numbers["XWells"],
        wells=tuple(well_name(row, column) for row, column in wells),
        site_cells=_site_cells(values, numbers),
        waves=_waves(values, numbers["NWavelengths"]),
        tpoints=max(1, numbers["TimePoints"]),
        zsteps=_zsteps(values, numbers["ZSteps"]),
    )
    _refuse_absurd(htd)
    return htd


def _values(text: str) -> dict[str, list[str]]:
    """Give the values of each key; the first of two is kept."""
    values: dict[str, list[str]] = {}
    for line in text.lstrip("\ufeff").replace("\0", "").splitlines():
        # Line by line: a quote too many in a description must not swallow the rest.
        for fields in csv.reader([line[:_LONGEST_LINE]], skipinitialspace=True):
            if fields:
                values.setdefault(fields[0].strip(), [field.strip() for field in fields[1:]])
    return values


def _count(values: Mapping[str, Sequence[str]], key: str) -> int:
    text = "".join(values.get(key, ())[:1]) or "0"
    if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= _MOST[key]:
        raise SourceFileError(f"{key} is {text[:40]!r}: expected a number from 0 to {_MOST[key]}")
    return int(text)


def _is_true(text: str) -> bool:
    return text.upper() in {"TRUE", "1"}


def _says(values: Mapping[str, Sequence[str]], key: str, *, default: bool) -> bool:
    return _is_true(values[key][0]) if values.get(key) else default


def _selected(
    values: Mapping[str, Sequence[str]], key: str, rows: int, columns: int
) -> list[tuple[int, int]]:
    return [
        (row, column)
        for row in range(rows)
        for column, text in enumerate(list(values.get(f"{key}{row + 1}", ()))[:columns])
        if _is_true(text)
    ]


def _site_cells(
    values: Mapping[str, Sequence[str]], numbers: Mapping[str, int]
) -> tuple[tuple[int, int], ...]:
    if not _says(values, "Sites", default=numbers["XSites"] > 0):
        return ()
    rows, columns = numbers["YSites"], numbers["XSites"]
    return tuple(_selected(values, "SiteSelection", rows, columns)) or tuple(
        (row, column) for row in range(rows) for column in range(columns)
    )


def _waves(values: Mapping[str, Sequence[str]], count: int) -> tuple[str, ...]:
    if not _says(values, "Waves", default=count > 0):
        count = 1
    return tuple("".join(values.get(f"WaveName{n + 1}", ())[:1]) for n in range(max(1, count)))


def _zsteps(values: Mapping[str, Sequence[str]], count: int) -> int:
    # Plates without a z-series say either "ZSteps", 0 or "ZSeries", FALSE.
    return max(1, count) if _says(values, "ZSeries", default=True) else 1


def _refuse_absurd(htd: Htd) -> None:
    if htd.plane_count > _MOST_PLANES:
        raise SourceFileError(
            f"declares {htd.plane_count} planes ({len(htd.wells)} wells, {htd.site_count} sites, "
            f"{len(htd.waves)} waves, {htd.tpoints} time points, {htd.zsteps} z-steps): "
            f"expected at most {_MOST_PLANES}"
        )
