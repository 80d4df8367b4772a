"""Several manifests of one folder made one."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imextract.registration.channels import add_channels
from imextract.registration.manifest import (
    Acquisition,
    Manifest,
    ManifestRow,
    Problem,
    RowGroup,
)
from imextract.registration.plate_twice import plate_in_two_folders

__all__ = ["merge_manifests"]

# Types that give images without a plate the name of the registered folder.
_NAMELESS = frozenset({"bioformats", "ometiff"})


@dataclass(frozen=True, slots=True)
class _Renamed(RowGroup):
    """Rows whose acquisition goes by another name."""

    group: RowGroup
    names: dict[Acquisition, str]

    def rows(self) -> Iterator[ManifestRow]:
        for row in self.group.rows():
            name = self.names.get((row.site.plate, row.acquisition), row.acquisition)
            yield row if name == row.acquisition else replace(row, acquisition=name)


def merge_manifests(folder: Path, manifests: Sequence[Manifest]) -> Manifest:
    """Put manifests together; two acquisitions of a plate and a name are kept apart, and told.

    The second "acquisition_0" of a plate becomes "acquisition_1", the second
    of another name gets a number.
    """
    if len(manifests) == 1:
        return manifests[0]
    types = dict.fromkeys(manifest.microscope_type for manifest in manifests)
    merged = Manifest(folder, " + ".join(types))
    places: dict[Acquisition, str] = {}
    for manifest in manifests:
        own = sorted(_acquisitions(manifest))
        names = _distinct(own, places.keys())
        merged.problems.extend(_told_twice(manifest, own, names, places))
        places.update(((plate, name), _place(manifest)) for (plate, _), name in names.items())
        merged.row_groups.extend(_Renamed(group, names) for group in manifest.row_groups)
        merged.metadata_sets.extend(
            (plate, names.get((plate, name), name), data_set)
            for plate, name, data_set in manifest.metadata_sets
        )
        merged.objectives.update(
            ((plate, names.get((plate, name), name)), objective)
            for (plate, name), objective in manifest.objectives.items()
        )
        merged.own_types.update(
            ((plate, name), manifest.type_of(plate, before))
            for (plate, before), name in names.items()
        )
        merged.data_sets.extend(manifest.data_sets)
        merged.problems.extend(manifest.problems)
        for key, site in manifest.sites.items():
            merged.sites.setdefault(key, site)
        add_channels(merged.channels, manifest.channels.values())
    return merged


def _acquisitions(manifest: Manifest) -> set[Acquisition]:
    return {(row.site.plate, row.acquisition) for row in manifest.rows()}


def _distinct(
    acquisitions: Sequence[Acquisition], taken: Collection[Acquisition]
) -> dict[Acquisition, str]:
    names: dict[Acquisition, str] = {}
    for plate, name in acquisitions:
        used = set(taken) | {(plate, other) for (_, other) in names.items()}
        stem, number, candidate = name.removesuffix("_0"), 0, name
        while (plate, candidate) in used:
            number += 1
            candidate = f"{stem}_{number}"
        names[plate, name] = candidate
    return names


def _told_twice(
    manifest: Manifest,
    own: Sequence[Acquisition],
    names: Mapping[Acquisition, str],
    places: Mapping[Acquisition, str],
) -> Iterator[Problem]:
    """Name acquisitions that lie in two folders: nobody knows whether of one plate or of two."""
    for plate, name in own:
        if (plate, name) not in places:
            continue
        is_nameless = plate == manifest.folder.name and manifest.microscope_type in _NAMELESS
        yield plate_in_two_folders(
            plate,
            places[plate, name],
            _place(manifest),
            f"both as acquisition {name!r}, the second kept apart as {names[plate, name]!r}",
            "warning" if is_nameless else "error",
        )


def _place(manifest: Manifest) -> str:
    """Give the folder that holds all images of a manifest; of one image, that."""
    images = [data_set.entry.path for data_set in manifest.data_sets]
    return os.path.commonpath(images) or "." if images else "."
