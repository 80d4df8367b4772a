"""A line of a manifest's CSV file: its columns, and what they may hold."""

import math
from collections.abc import Mapping

from imextract.planes import PIXEL_TYPES, TOLD, PlaneRef
from imextract.registration.manifest import ManifestRow, SiteKey

__all__ = ["CHANNEL", "COLUMNS", "PLANE", "LineError", "index", "measure", "read_line"]

_SITE = ("plate", "well", "site", "site_y", "site_x")
PLANE = ("acquisition", "cycle", "channel", "tpoint", "zplane")
_SOURCE = ("state", "source_file", "series", "plane", "height", "width", "dtype")
CHANNEL = ("excitation_nm", "emission_nm")
COLUMNS = (*_SITE, *PLANE, *_SOURCE, *TOLD, *CHANNEL)
_LARGEST_INDEX = 2**31 - 1


class LineError(ValueError):
    """What is wrong with a line."""


def read_line(values: Mapping[str, str]) -> ManifestRow:
    """Read a line, its texts by their columns.

    Raises
    ------
    LineError
    """
    if "" in values:
        raise LineError("more values than columns")
    is_absent = _state(values) == "absent"
    ref = None if is_absent else PlaneRef(index(values, "series"), index(values, "plane"))
    return ManifestRow(
        site=SiteKey(_name(values, "plate"), _name(values, "well"), index(values, "site")),
        acquisition=_name(values, "acquisition"),
        cycle=index(values, "cycle"),
        channel=_name(values, "channel"),
        tpoint=index(values, "tpoint"),
        zplane=index(values, "zplane"),
        source_file=None if is_absent else values["source_file"],
        ref=ref,
        height=_size(values, "height"),
        width=_size(values, "width"),
        dtype=_pixel_type(values),
        **{name: measure(values, name) for name in TOLD},
    )


def _state(values: Mapping[str, str]) -> str:
    state, file = values["state"], values["source_file"]
    if state not in ("planned", "absent"):
        raise LineError(f"state is {state!r}: expected planned or absent")
    if (state == "absent") == bool(file):
        raise LineError(f"state is {state}, but source_file is {file!r}")
    return state


def _name(values: Mapping[str, str], column: str) -> str:
    if not values[column]:
        raise LineError(f"{column} is empty")
    return values[column]


def _pixel_type(values: Mapping[str, str]) -> str:
    # A plane that is absent has no file that would tell a wrong one.
    if values["dtype"] not in PIXEL_TYPES:
        raise LineError(f"dtype is {values['dtype']!r}: expected one of {', '.join(PIXEL_TYPES)}")
    return values["dtype"]


def _size(values: Mapping[str, str], column: str) -> int:
    size = index(values, column)
    if size == 0:
        raise LineError(f"{column} is 0: expected at least one pixel")
    return size


def index(values: Mapping[str, str], column: str) -> int:
    """Read a number that counts from zero.

    Raises
    ------
    LineError
    """
    text = values[column]
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _LARGEST_INDEX:
        raise LineError(f"{column} is {text!r}: expected a number from 0 to {_LARGEST_INDEX}")
    return int(text)


def measure(values: Mapping[str, str], column: str) -> float | None:
    """Read a number with a unit; None where the line tells none.

    Raises
    ------
    LineError
    """
    text = values[column]
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LineError(f"{column} is {text!r}: expected a number or nothing")
    return number
