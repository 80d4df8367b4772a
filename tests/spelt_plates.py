"""Whether a manifest tells of a simulated plate what its pixels spell."""

from collections.abc import Callable
from pathlib import Path

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.readers.registry import open_reader
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest, ManifestRow
from imextract.simulation.layout import PlaneKey, PlateLayout
from imextract.simulation.pixels import read_stamp

# Hardly any Java: what a microscope type of our own reads needs none.
NO_JAVA = Settings(java_heap_mb=64, read_timeout_s=5)


def manifest_of(folder: Path, **options: object) -> Manifest:
    """Register a folder without writing anything."""
    return build_manifest(folder, ManifestOptions(**options), NO_JAVA)  # type: ignore[arg-type]


def errors(manifest: Manifest) -> list[str]:
    """Give the errors of a manifest, each with its file."""
    return [f"{one.file}: {one.text}" for one in manifest.problems if one.severity == "error"]


def warnings(manifest: Manifest) -> list[str]:
    """Give the warnings of a manifest, each with its file."""
    return [f"{one.file}: {one.text}" for one in manifest.problems if one.severity == "warning"]


def row_key(row: ManifestRow, layout: PlateLayout) -> PlaneKey:
    """Give what a row says of its plane, in the words of the simulation."""
    channel = layout.channel_names.index(row.channel)
    return PlaneKey(row.site.well, row.site.site, channel, row.tpoint, row.zplane)


def compare(
    folder: Path,
    manifest: Manifest,
    layout: PlateLayout,
    key_of: Callable[[ManifestRow, PlateLayout], PlaneKey] = row_key,
) -> dict[str, set[PlaneKey]]:
    """Read every plane and see that it is what the manifest says.

    Returns
    -------
    dict
        The keys of the planes that are "present", "absent" and "damaged".
    """
    found: dict[str, set[PlaneKey]] = {"present": set(), "absent": set(), "damaged": set()}
    for row in manifest.rows():
        key = key_of(row, layout)
        assert not any(key in keys for keys in found.values()), f"{key} is there twice"
        if row.source_file is None or row.ref is None:
            found["absent"].add(key)
            continue
        try:
            with open_reader("tifffile", folder / row.source_file, NO_JAVA) as reader:
                spelt = read_stamp(reader.read_plane(row.ref))
        except SourceFileError:
            found["damaged"].add(key)
            continue
        assert spelt == key, f"{row.source_file}, plane {row.ref.plane}"
        found["present"].add(key)
    return found
