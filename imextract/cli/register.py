"""``imextract register``: from a folder to a plan of its planes."""

import argparse
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from imextract.cli.output import print_error, print_json, print_line, print_table, usage_error
from imextract.database.written import Written
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
            _print_prospect(request, result.written)
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
        "ledger": None if result.written is None else _ledger(result.written),
        "problems": [asdict(problem) for problem in result.problems],
    }
    if request.dry_run:
        document["manifest"] = [_row(row) for row in result.manifest.rows()]
    return document


def _ledger(written: Written) -> dict[str, Any]:
    values = asdict(written)
    # In a dry run, the id of a new experiment is anyone's guess.
    del values["experiment_id"]
    return values


def _row(row: ManifestRow) -> dict[str, Any]:
    values = asdict(row)
    ref = values.pop("ref") or {"series": None, "plane": None}
    return {**values.pop("site"), **ref, **values}


def _print_problems(result: RegistrationResult) -> None:
    for problem in result.problems:
        file = f"{problem.file}: " if problem.file else ""
        print_error(f"{problem.severity}: {file}{problem.text}")


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


def _print_prospect(request: RegistrationRequest, written: Written | None) -> None:
    if written is None:
        print_line("it would not be registered: see the errors")
        return
    where = "a new experiment" if written.is_new else f"experiment {written.experiment_id}"
    print_line(f"{where} ({request.name}) would get {_added(written)}")


def _added(written: Written) -> str:
    """Say what is added, and of what is there already only what there is."""
    told = {
        "planes that were absent": written.filled,
        "planes are known": written.known,
        "files vanished": written.vanished_files,
        "files changed": written.changed_files,
    }
    return ", ".join(
        [
            f"{written.added} new planes",
            *(f"{count} {text}" for text, count in told.items() if count),
        ]
    )


def _print_next_steps(request: RegistrationRequest, result: RegistrationResult) -> None:
    counted = ", ".join(f"{count} {state}" for state, count in result.counts.items() if count)
    number = result.experiment_id
    print_line(f"experiment {number} ({request.name}): {counted or 'no'} planes")
    if result.written is not None and not result.written.is_new:
        print_line(f"of this folder: {_added(result.written)}")
    print_line(
        f"extract it: prefect deployment run imextract/default -p experiment_id={number} --watch"
    )
    print_line(
        f"or by hand: imextract {number} init && imextract {number} run && "
        f"imextract {number} collect"
    )
