"""``imextract register``: from a folder to a plan of its planes."""

import argparse
import sys
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from imextract.cli.output import print_json, print_line, print_table
from imextract.errors import ConfigError
from imextract.registration.manifest import Manifest, ManifestRow
from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)

__all__ = ["register"]


def register(options: argparse.Namespace) -> int:
    """Register a folder, or show what would be registered."""
    fields = {name: getattr(options, name) for name in RegistrationRequest.model_fields}
    try:
        request = RegistrationRequest(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{option} {first['input']!r}: {first['msg']}") from error
    result = register_folder(request)
    if options.json:
        print_json(_document(request, result))
    else:
        _print_problems(result)
        if request.dry_run:
            _print_summary(result.manifest)
        else:
            _print_next_steps(request, result)
    return int(any(problem.severity == "error" for problem in result.problems))


def _document(request: RegistrationRequest, result: RegistrationResult) -> dict[str, Any]:
    document = {
        "experiment_id": result.experiment_id,
        "name": request.name,
        "folder": request.folder,
        "microscope": result.manifest.microscope_type,
        "counts": result.counts,
        "problems": [asdict(problem) for problem in result.problems],
    }
    if request.dry_run:
        document["manifest"] = [_row(row) for row in result.manifest.rows()]
    return document


def _row(row: ManifestRow) -> dict[str, Any]:
    values = asdict(row)
    ref = values.pop("ref") or {"series": None, "plane": None}
    return {**values.pop("site"), **ref, **values}


def _print_problems(result: RegistrationResult) -> None:
    for problem in result.problems:
        file = f"{problem.file}: " if problem.file else ""
        print(f"{problem.severity}: {file}{problem.text}", file=sys.stderr)


def _print_summary(manifest: Manifest) -> None:
    table: dict[tuple[str, ...], list[ManifestRow]] = defaultdict(list)
    for row in manifest.rows():
        table[row.site.plate, row.acquisition, row.site.well, row.channel].append(row)
    headers = ("plate", "acquisition", "well", "channel", "sites", "tpoints", "zplanes", "planes")
    print_table(headers, ((*key, *_extent(rows)) for key, rows in table.items()))
    print_line("")
    print_line(
        f"{sum(map(len, table.values()))} planes of {len(manifest.sites)} sites in "
        f"{len(manifest.data_sets)} data sets; nothing was written"
    )


def _extent(rows: list[ManifestRow]) -> tuple[int, int, int, int]:
    return (
        len({row.site.site for row in rows}),
        len({row.tpoint for row in rows}),
        len({row.zplane for row in rows}),
        len(rows),
    )


def _print_next_steps(request: RegistrationRequest, result: RegistrationResult) -> None:
    counted = ", ".join(f"{count} {state}" for state, count in result.counts.items() if count)
    number = result.experiment_id
    print_line(f"experiment {number} ({request.name}): {counted or 'no'} planes")
    print_line(
        f"extract it: prefect deployment run imextract/default -p experiment_id={number} --watch"
    )
    print_line(
        f"or by hand: imextract {number} init && imextract {number} run && "
        f"imextract {number} collect"
    )
