"""A manifest as a CSV file, for people to look at and to correct.

Written, it has a row per plane. Taken back, its rows say which planes of the
folder are registered, and as what; which files there are, and what is in them,
the folder tells.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.registration.channels import add_channels
from imextract.registration.manifest import (
    ChannelInfo,
    Manifest,
    ManifestRow,
    Problem,
    RowGroup,
    SiteInfo,
    SiteKey,
)

__all__ = ["correct_manifest", "write_manifest_file"]

_SITE = ("plate", "well", "site", "site_y", "site_x")
_PLANE = ("acquisition", "cycle", "channel", "tpoint", "zplane")
_SOURCE = ("state", "source_file", "series", "plane", "height", "width", "dtype")
_FACTS = (
    "pixel_size_x_um",
    "pixel_size_y_um",
    "pixel_size_z_um",
    "stage_x_um",
    "stage_y_um",
    "stage_z_um",
    "time_stamp_s",
    "exposure_ms",
)
_CHANNEL = ("excitation_nm", "emission_nm")
_COLUMNS = (*_SITE, *_PLANE, *_SOURCE, *_FACTS, *_CHANNEL)
_LARGEST_INDEX = 2**31 - 1
_MOST_NAMED = 20

# Names of files may hold bytes that are no UTF-8: they go through as they are.
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def write_manifest_file(manifest: Manifest, path: Path) -> None:
    """Write a manifest, one row per plane.

    Raises
    ------
    RegistrationError
        If the file is there already or cannot be written.
    """
    try:
        with path.open("x", **_ENCODING) as stream:  # type: ignore[call-overload]  # as text
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            writer.writerows(_written(manifest, row) for row in manifest.rows())
    except OSError as error:
        raise RegistrationError(
            f"{path}: the manifest cannot be written ({error.strerror}); give another file"
        ) from error


def _written(manifest: Manifest, row: ManifestRow) -> list[object]:
    site, channel = manifest.sites[row.site], manifest.channels[row.channel]
    ref = row.ref
    values: list[object] = [row.site.plate, row.site.well, row.site.site, site.y, site.x]
    values += [getattr(row, name) for name in _PLANE]
    values += ["absent" if ref is None else "planned", row.source_file or ""]
    values += [None, None] if ref is None else [ref.series, ref.plane]
    values += [row.height, row.width, row.dtype]
    values += [getattr(row, name) for name in _FACTS]
    return [*values, channel.excitation_nm, channel.emission_nm]


def correct_manifest(manifest: Manifest, path: Path) -> None:
    """Take the rows of a file in place of those of a manifest.

    Planes that the file leaves out are not registered, with a warning; each
    error is named with its line.

    Raises
    ------
    RegistrationError
        If the file cannot be read or has not the columns of a manifest.
    """
    corrected = _Corrected(manifest)
    try:
        # Spreadsheets put a mark before the first column, and some use semicolons.
        with path.open(**_ENCODING | {"encoding": "utf-8-sig"}) as stream:  # type: ignore[call-overload]  # as text
            first = stream.readline()
            delimiter = max(",;\t", key=first.count)
            stream.seek(0)
            reader = csv.DictReader(stream, restkey="", restval="", delimiter=delimiter)
            _check_columns(path, reader.fieldnames or ())
            for values in reader:
                corrected.add(reader.line_num, values)
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise RegistrationError(
            f"{path}: the manifest cannot be read ({reason}); "
            "give one that --dry-run --manifest wrote"
        ) from error
    corrected.finish(path)


def _check_columns(path: Path, names: Iterable[str]) -> None:
    given = list(names)
    unknown = [name for name in given if name not in _COLUMNS]
    missing = [name for name in _COLUMNS if name not in given]
    if unknown or missing:
        problem = f"unknown column {unknown[0]!r}" if unknown else f"no column {missing[0]!r}"
        raise RegistrationError(
            f"{path}: line 1: {problem}; expected the columns {', '.join(_COLUMNS)}"
        )


class _ValueError(ValueError):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True)
class _Held(RowGroup):
    held: list[ManifestRow]

    def rows(self) -> Iterator[ManifestRow]:
        yield from self.held


class _Corrected:
    """Rows of a file, each checked against what the folder holds."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._found = {row.source: row for row in manifest.rows() if row.source is not None}
        self._rows: list[ManifestRow] = []
        self._sites: dict[SiteKey, SiteInfo] = {}
        self._channels: dict[str, ChannelInfo] = {}
        self._used: set[tuple[str, PlaneRef]] = set()
        self._errors: list[str] = []

    def add(self, line: int, values: Mapping[str, str]) -> None:
        """Take a line, or note what is wrong with it."""
        try:
            self._add(_read(values), values)
        except _ValueError as error:
            self._errors.append(f"line {line}: {error}")

    def _add(self, row: ManifestRow, values: Mapping[str, str]) -> None:
        if row.source is not None:
            self._check_source(row, *row.source)
            self._used.add(row.source)
        y, x = _index(values, "site_y"), _index(values, "site_x")
        site = SiteInfo(y, x, row.height, row.width, self._site_name(row.site))
        before = self._sites.setdefault(row.site, site)
        if (before.y, before.x) != (y, x):
            raise _ValueError(
                f"site_y {y}, site_x {x}: other rows of well {row.site.well}, site "
                f"{row.site.site} tell {before.y}, {before.x}"
            )
        channel = ChannelInfo(row.channel, *(_measure(values, name) for name in _CHANNEL))
        add_channels(self._channels, [channel])
        self._rows.append(row)

    def _check_source(self, row: ManifestRow, file: str, ref: PlaneRef) -> None:
        found = self._found.get((file, ref))
        if found is None:
            raise _ValueError(
                f"the folder has no plane {ref.plane} of series {ref.series} in {file!r}"
            )
        if row.source in self._used:
            raise _ValueError(f"this plane of {file!r} was in a line before")
        if _shape(found) != _shape(row):
            raise _ValueError(
                f"height, width and dtype are {_shape(row)}, but {file!r} has {_shape(found)}"
            )

    def _site_name(self, key: SiteKey) -> str | None:
        known = self._manifest.sites.get(key)
        return None if known is None else known.name

    def finish(self, path: Path) -> None:
        """Put the rows in place, and tell what is wrong with the file."""
        manifest = self._manifest
        named = [Problem("error", str(path), text) for text in self._errors[:_MOST_NAMED]]
        if len(self._errors) > _MOST_NAMED:
            text = f"{len(self._errors) - _MOST_NAMED} more lines are wrong"
            named.append(Problem("error", str(path), text))
        if not any(row.source for row in self._rows):
            text = "tells of no plane that is there; correct the file or register without it"
            named.append(Problem("error", str(path), text))
        left_out = len(self._found) - len(self._used)
        if left_out:
            text = f"{left_out} planes of the folder are not in the manifest: left out"
            named.append(Problem("warning", str(path), text))
        manifest.problems.extend(named)
        manifest.row_groups = [_Held(self._rows)]
        manifest.sites, manifest.channels = self._sites, self._channels
        acquisitions = {(row.site.plate, row.acquisition) for row in self._rows}
        manifest.metadata_sets = [
            (*acquisition, data_set)
            for data_set in {one.entry.path: one for _, _, one in manifest.metadata_sets}.values()
            for acquisition in sorted(acquisitions)
        ]


def _shape(row: ManifestRow) -> str:
    return f"{row.height} x {row.width} {row.dtype}"


def _read(values: Mapping[str, str]) -> ManifestRow:
    if "" in values:
        raise _ValueError("more values than columns")
    is_absent = _state(values) == "absent"
    ref = None if is_absent else PlaneRef(_index(values, "series"), _index(values, "plane"))
    return ManifestRow(
        site=SiteKey(_name(values, "plate"), _name(values, "well"), _index(values, "site")),
        acquisition=_name(values, "acquisition"),
        cycle=_index(values, "cycle"),
        channel=_name(values, "channel"),
        tpoint=_index(values, "tpoint"),
        zplane=_index(values, "zplane"),
        source_file=None if is_absent else values["source_file"],
        ref=ref,
        height=_index(values, "height"),
        width=_index(values, "width"),
        dtype=_name(values, "dtype"),
        **{name: _measure(values, name) for name in _FACTS},
    )


def _state(values: Mapping[str, str]) -> str:
    state, file = values["state"], values["source_file"]
    if state not in ("planned", "absent"):
        raise _ValueError(f"state is {state!r}: expected planned or absent")
    if (state == "absent") == bool(file):
        raise _ValueError(f"state is {state}, but source_file is {file!r}")
    return state


def _name(values: Mapping[str, str], column: str) -> str:
    if not values[column]:
        raise _ValueError(f"{column} is empty")
    return values[column]


def _index(values: Mapping[str, str], column: str) -> int:
    text = values[column]
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _LARGEST_INDEX:
        raise _ValueError(f"{column} is {text!r}: expected a number from 0 to {_LARGEST_INDEX}")
    return int(text)


def _measure(values: Mapping[str, str], column: str) -> float | None:
    text = values[column]
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _ValueError(f"{column} is {text!r}: expected a number or nothing")
    return number
