"""Checks that every manifest must pass, whatever microscope it comes from."""

from array import array
from collections.abc import Iterator
from itertools import islice

import numpy as np

from imextract.planes import PIXEL_TYPES
from imextract.registration.completeness import Completeness
from imextract.registration.fact_check import FactCheck, impossible_wavelengths
from imextract.registration.manifest import Manifest, ManifestRow, Problem, SiteKey
from imextract.registration.shape_check import ShapeCheck
from imextract.registration.wells import is_well_name

__all__ = ["check_manifest"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20

_ABSENT = "no file"

# What no array is long enough for, no reader opens and no column of PostgreSQL holds.
_LARGEST_SIDE = 2**31 - 1


def check_manifest(manifest: Manifest) -> list[Problem]:
    """Find what forbids registering: planes twice, bad wells, pixels that cannot be stored."""
    problems = [
        Problem("error", None, f"well {well!r} of plate {plate!r}: expected a name, A01 to AV72")
        for plate, well in sorted({(key.plate, key.well) for key in manifest.sites})
        if not is_well_name(well)
    ]
    hashes = array("q")
    seen: tuple[str, int] | None = None
    shapes, facts, completeness = ShapeCheck(), FactCheck(), Completeness()
    for row in manifest.rows():
        hashes.append(hash(_key(row)))
        shapes.add(row)
        facts.add(row)
        completeness.add(row)
        if row.source is None:
            continue
        file, ref = row.source
        if seen != (file, ref.series):
            seen = file, ref.series
            problems.extend(_pixel_problems(row, ref.series))
    problems.extend(_shared_cells(manifest))
    problems.extend(shapes.problems())
    problems.extend(facts.problems())
    problems.extend(impossible_wavelengths(manifest.channels.values()))
    problems.extend(completeness.problems(lambda *own: manifest.type_of(*own) != "bioformats"))
    return problems + _duplicates(manifest, hashes)


def _shared_cells(manifest: Manifest) -> Iterator[Problem]:
    """Find sites of a well that lie in one cell of its grid: one would hide the other."""
    first: dict[tuple[str, str, int, int], SiteKey] = {}
    for key, site in manifest.sites.items():
        before = first.setdefault((key.plate, key.well, site.y, site.x), key)
        if before is not key:
            text = (
                f"plate {key.plate}, well {key.well}: sites {before.site} and {key.site} lie at "
                f"the same place, row {site.y}, column {site.x}; tell where they lie with "
                "--layout, or by site_y and site_x of a manifest"
            )
            yield Problem("error", None, text)


def _key(row: ManifestRow) -> tuple[object, ...]:
    return row.site, row.acquisition, row.cycle, row.channel, row.tpoint, row.zplane


def _pixel_problems(row: ManifestRow, series: int) -> Iterator[Problem]:
    if row.dtype not in PIXEL_TYPES:
        text = (
            f"series {series} has pixels of type {row.dtype}: expected one of "
            f"{', '.join(PIXEL_TYPES)}; move the file out of the folder"
        )
        yield Problem("error", row.source_file, text)
    if not 1 <= min(row.height, row.width) <= max(row.height, row.width) <= _LARGEST_SIDE:
        text = (
            f"series {series} has {row.width} x {row.height} pixels: expected at least one, and "
            f"at most {_LARGEST_SIDE} on a side; move the file out of the folder"
        )
        yield Problem("error", row.source_file, text)


def _duplicates(manifest: Manifest, hashes: "array[int]") -> list[Problem]:
    """Name the planes that are there twice.

    One number per plane is kept to learn that there are any; only then are
    the rows made again to find which.
    """
    values, counts = np.unique(np.frombuffer(hashes, dtype=np.int64), return_counts=True)
    suspects = frozenset(values[counts > 1].tolist())
    if not suspects:
        return []
    pairs = _pairs(manifest, suspects)
    problems = [
        Problem("error", file, _twice(before, row, count))
        for (_, file), (before, row, count) in islice(pairs.items(), _MOST_NAMED)
    ]
    if len(pairs) > _MOST_NAMED:
        text = f"{len(pairs) - _MOST_NAMED} more pairs of files hold the same planes"
        problems.append(Problem("error", None, text))
    return problems


def _pairs(
    manifest: Manifest, suspects: frozenset[int]
) -> dict[tuple[str, str], tuple[ManifestRow, ManifestRow, int]]:
    """Give the first same plane of each two files, and how many they share."""
    first: dict[tuple[object, ...], ManifestRow] = {}
    pairs: dict[tuple[str, str], tuple[ManifestRow, ManifestRow, int]] = {}
    for row in manifest.rows():
        key = _key(row)
        if hash(key) not in suspects:
            continue
        before = first.setdefault(key, row)
        if before is not row:
            files = before.source_file or _ABSENT, row.source_file or _ABSENT
            one, other, count = pairs.get(files, (before, row, 0))
            pairs[files] = one, other, count + 1
    return pairs


def _twice(before: ManifestRow, row: ManifestRow, count: int) -> str:
    return (
        f"{count} planes of this file are the same as of {before.source_file or _ABSENT}, such as "
        f"{_place(row)} and its {_place(before)}: plate {row.site.plate}, well {row.site.well}, "
        f"site {row.site.site}, channel {row.channel}, tpoint {row.tpoint}, zplane {row.zplane}; "
        "tell the files apart or move one away"
    )


def _place(row: ManifestRow) -> str:
    if row.source is None:
        return "plane that is absent"
    _, ref = row.source
    return f"plane {ref.plane} of series {ref.series}"
