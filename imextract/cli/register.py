"""``imextract register``: from a folder to a plan of its planes."""

import argparse
import sys
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from imextract.cli.output import print_json, print_line, print_table, usage_error
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
        raise usage_error(error) from error
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
        "folder": result.manifest.folder,
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


class _Extent:
    """What the planes of a channel at a site span."""

    def __init__(self) -> None:
        self.tpoints: set[int] = set()
        self.zplanes: set[int] = set()
        self.planes = 0
        self.absent = 0

    def add(self, row: ManifestRow) -> None:
        self.tpoints.add(row.tpoint)
        self.zplanes.add(row.zplane)
        self.planes += 1
        self.absent += row.source is None


def _print_summary(manifest: Manifest) -> None:
    table: dict[tuple[object, ...], _Extent] = defaultdict(_Extent)
    for row in manifest.rows():
        place = row.site.plate, row.acquisition, row.site.well, row.site.site, row.channel
        table[place].add(row)
    headers = ("plate", "acquisition", "well", "site", "channel")
    counts = ("tpoints", "zplanes", "planes", "absent")
    print_table((*headers, *counts), ((*key, *_counts(one)) for key, one in table.items()))
    print_line("")
    print_line(
        f"{sum(one.planes for one in table.values())} planes of {len(manifest.sites)} sites in "
        f"{len(manifest.data_sets)} data sets, {sum(one.absent for one in table.values())} of "
        "them absent; nothing was written"
    )


def _counts(extent: _Extent) -> tuple[int, int, int, int]:
    return len(extent.tpoints), len(extent.zplanes), extent.planes, extent.absent


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
