"""Where sites lie that the files do not place: as the user says that the stage went."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from imextract.errors import RegistrationError
from imextract.registration.manifest import SiteInfo, SiteKey

__all__ = ["Layout", "lay_out"]

Layout: TypeAlias = Literal["horizontal", "zigzag_horizontal", "vertical", "zigzag_vertical"]


def lay_out(
    sites: Mapping[SiteKey, SiteInfo],
    layout: Layout,
    rows: int | None,
    columns: int | None,
) -> dict[SiteKey, SiteInfo]:
    """Put the sites of every well on a grid in the order of their indices.

    Parameters
    ----------
    layout
        "horizontal" goes row by row from the left, "vertical" column by column
        from the top; "zigzag" goes back on every second one.
    rows, columns
        Size of the grid; what is not given is as large as needs be.

    Raises
    ------
    RegistrationError
        If the grid is not told, or does not hold the sites.
    """
    wells: defaultdict[tuple[str, str], list[SiteKey]] = defaultdict(list)
    for key in sites:
        wells[key.plate, key.well].append(key)
    laid_out = dict(sites)
    for (_, well), keys in wells.items():
        count = max(key.site for key in keys) + 1
        size = _grid(count, rows, columns, well)
        for key in keys:
            y, x = _cell(key.site, layout, *size)
            laid_out[key] = replace(sites[key], y=y, x=x)
    return laid_out


def _grid(count: int, rows: int | None, columns: int | None, well: str) -> tuple[int, int]:
    if rows is None and columns is None:
        raise RegistrationError("a layout needs --rows or --columns, to tell where a line ends")
    rows = -(-count // columns) if rows is None and columns is not None else rows or 1
    columns = -(-count // rows) if columns is None else columns
    if rows * columns < count:
        raise RegistrationError(
            f"well {well} has {count} sites: {rows} rows of {columns} columns do not hold them; "
            "correct --rows and --columns"
        )
    return rows, columns


def _cell(site: int, layout: Layout, rows: int, columns: int) -> tuple[int, int]:
    length = columns if layout.endswith("horizontal") else rows
    line, along = divmod(site, length)
    if layout.startswith("zigzag") and line % 2:
        along = length - 1 - along
    return (line, along) if layout.endswith("horizontal") else (along, line)
