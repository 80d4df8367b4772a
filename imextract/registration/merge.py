"""Several manifests of one folder made one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imextract.registration.channels import add_channels
from imextract.registration.manifest import Manifest, ManifestRow, RowGroup

__all__ = ["merge_manifests"]


@dataclass(frozen=True, slots=True)
class _Renamed(RowGroup):
    """Rows whose acquisition goes by another name."""

    group: RowGroup
    names: dict[tuple[str, str], str]

    def rows(self) -> Iterator[ManifestRow]:
        for row in self.group.rows():
            name = self.names.get((row.site.plate, row.acquisition), row.acquisition)
            yield row if name == row.acquisition else replace(row, acquisition=name)


def merge_manifests(folder: Path, manifests: Sequence[Manifest]) -> Manifest:
    """Put manifests together; two acquisitions of a plate and a name are kept apart.

    The second "acquisition_0" of a plate becomes "acquisition_1", the second
    of another name gets a number.
    """
    if len(manifests) == 1:
        return manifests[0]
    types = dict.fromkeys(manifest.microscope_type for manifest in manifests)
    merged = Manifest(folder, " + ".join(types))
    taken: set[tuple[str, str]] = set()
    for manifest in manifests:
        names = _distinct(sorted(_acquisitions(manifest)), taken)
        taken.update((plate, name) for (plate, _), name in names.items())
        merged.row_groups.extend(_Renamed(group, names) for group in manifest.row_groups)
        merged.metadata_sets.extend(
            (plate, names.get((plate, name), name), data_set)
            for plate, name, data_set in manifest.metadata_sets
        )
        merged.data_sets.extend(manifest.data_sets)
        merged.problems.extend(manifest.problems)
        for key, site in manifest.sites.items():
            merged.sites.setdefault(key, site)
        add_channels(merged.channels, manifest.channels.values())
    return merged


def _acquisitions(manifest: Manifest) -> set[tuple[str, str]]:
    return {(row.site.plate, row.acquisition) for row in manifest.rows()}


def _distinct(
    acquisitions: Sequence[tuple[str, str]], taken: set[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    names: dict[tuple[str, str], str] = {}
    for plate, name in acquisitions:
        used = taken | {(plate, other) for (_, other) in names.items()}
        stem, number, candidate = name.removesuffix("_0"), 0, name
        while (plate, candidate) in used:
            number += 1
            candidate = f"{stem}_{number}"
        names[plate, name] = candidate
    return names
