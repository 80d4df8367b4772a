"""What the manifest of a simulated plate must say, plane by plane."""

from collections.abc import Sequence

import numpy as np

from imextract.planes import PlaneRef
from imextract.readers.tiff import TiffReader
from imextract.registration.manifest import Manifest, ManifestRow
from imextract.simulation import FaultyPlanes, PlaneKey, PlateLayout, expected_plane, read_stamp


def check_planes(
    manifest: Manifest, layout: PlateLayout, channels: Sequence[str], faulty: FaultyPlanes
) -> None:
    """Check that each row is the plane that its pixels say, and that none is missing."""
    rows = {_key(row, channels): row for row in manifest.rows()}
    assert rows.keys() == set(layout.plane_keys())
    unreadable = faulty.absent | faulty.errors
    for key, row in rows.items():
        assert (row.source is None) == (key in unreadable), key
        assert (row.height, row.width, row.dtype) == (layout.height, layout.width, "uint16")
        if row.source is not None and key not in faulty.truncated:
            path, ref = row.source
            assert ref == PlaneRef(0, 0)
            with TiffReader(manifest.folder / path) as reader:
                pixels = reader.read_plane(ref)
            assert read_stamp(pixels) == key
            assert np.array_equal(pixels, expected_plane(layout, key)), key


def _key(row: ManifestRow, channels: Sequence[str]) -> PlaneKey:
    channel = channels.index(row.channel)
    return PlaneKey(row.site.well, row.site.site, channel, row.tpoint, row.zplane)
