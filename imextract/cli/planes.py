"""``imextract N planes|verify|accept``: every plane, and whether it is whole."""

import argparse
import csv
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

from imextract.cli.output import print_error, print_json, print_json_list, print_line, print_table
from imextract.database.planes import PlaneFilter, PlaneRecord, find_planes, update_planes
from imextract.errors import ConfigError
from imextract.planes import TOLD
from imextract.registration.wells import parse_well_name, well_name
from imextract.verify import verify_experiment
from imextract.workplace import Workplace

__all__ = ["accept", "planes", "verify"]

T = TypeVar("T")

_TABLE = ("id", "plate", "well", "site", "acquisition", "cycle", "channel", "tpoint", "zplane")
_KEPT = ("site_name", "site_y", "site_x", "excitation_nm", "emission_nm", "objective", *TOLD)
_MORE = ("state", "source_file", "series", "plane", "height", "width", "dtype", "location")
_STORED = ("checksum", "stored_bytes", "compression", "suspect", "error")
_ALL = (*_TABLE, *_MORE, *_STORED, *_KEPT)


def planes(options: argparse.Namespace) -> int:
    """List every plane: what it is, its state, where it comes from, where it lies."""
    columns = _columns(options)
    rows = ({name: row[name] for name in columns} for row in map(_row, _find(options)))
    if options.format == "json":
        print_json_list(rows)
    elif options.format == "csv":
        _print_csv(rows)
    else:
        print_table(columns, ([_cell(row[column]) for column in columns] for row in rows))
    return 0


def _columns(options: argparse.Namespace) -> tuple[str, ...]:
    """Give the columns that are asked for; a table shows by default what fits on a screen."""
    if options.columns is None:
        return (*_TABLE, *_MORE) if options.format == "table" else _ALL
    columns = tuple(name.strip() for name in options.columns.split(","))
    unknown = [name for name in columns if name not in _ALL]
    if unknown:
        raise ConfigError(f"--columns {unknown[0]!r}: expected some of {', '.join(_ALL)}")
    return columns


def verify(options: argparse.Namespace) -> int:
    """Re-read every stored plane; 1 if one is missing or damaged."""
    place = Workplace.of()
    count, damaged = 0, []
    for found in verify_experiment(place, options.experiment_id):
        count += 1
        if found.error is not None:
            damaged.append({"id": found.plane.id, "error": found.error})
            print_error(f"damaged: {found.error}")
    if options.json:
        document = {"verified": count, "whole": count - len(damaged), "damaged": damaged}
        print_json(document)
    else:
        print_line(f"{count} planes read: {count - len(damaged)} whole, {len(damaged)} damaged")
    return int(bool(damaged))


def accept(options: argparse.Namespace) -> int:
    """Say that the constant planes are right, so that they no longer hold deletion."""
    place = Workplace.of()
    wanted = PlaneFilter(is_suspect=True)
    suspect = [plane.id for plane in find_planes(place.database, options.experiment_id, wanted)]
    with place.database.transaction() as session:
        update_planes(session, suspect, is_suspect=False)
    if options.json:
        print_json({"experiment_id": options.experiment_id, "accepted": len(suspect)})
    else:
        print_line(f"{len(suspect)} constant planes accepted")
    return 0


def _find(options: argparse.Namespace) -> Iterator[PlaneRecord]:
    wanted = PlaneFilter(
        state=options.state,
        plate=options.plate,
        well=_well(options.well),
        site=options.site,
        acquisition=options.acquisition,
        cycle=options.cycle,
        channel=options.channel,
        tpoint=options.tpoint,
        zplane=options.zplane,
        is_suspect=options.suspect,
    )
    return find_planes(Workplace.of().database, options.experiment_id, wanted)


def _well(text: str | None) -> str | None:
    try:
        return None if text is None else well_name(*parse_well_name(text))
    except ValueError as error:
        raise ConfigError(f"--well: {error}") from error


def _row(plane: PlaneRecord) -> dict[str, Any]:
    sources = plane.sources
    return {
        **{name: getattr(plane, name) for name in (*_TABLE, *_KEPT)},
        "state": plane.state,
        "source_file": _one_or_all([str(source.source_file) for source in sources]),
        "series": _one_or_all([source.ref.series for source in sources]),
        "plane": _one_or_all([source.ref.plane for source in sources]),
        "location": plane.location,
        "height": plane.height,
        "width": plane.width,
        "dtype": plane.dtype,
        "checksum": plane.checksum,
        "stored_bytes": plane.stored_bytes,
        "compression": plane.compression,
        "suspect": plane.is_suspect,
        "error": plane.error,
    }


def _one_or_all(values: list[T]) -> T | list[T] | None:
    """Give the value of an only source; a list where a projection has several; None for none."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def _cell(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _print_csv(rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows, None)
    if first is None:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(first), lineterminator="\n")
    writer.writeheader()
    for row in chain([first], rows):
        writer.writerow({name: _cell(value) for name, value in row.items()})
