"""Folders of small TIFFs, one per plane, and the list of their planes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imextract.config import Settings
from imextract.registration.files import find_files
from imextract.registration.manifest import ChannelInfo, Manifest
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from tests.support import write_tiff

SHAPE = (6, 8)


def planes(
    sites: int = 2, channels: int = 2, zplanes: int = 2, tpoints: int = 1
) -> Iterator[PlaneFile]:
    """Give the planes of two wells, each in a file that is named after it."""
    for well in ("A01", "B02"):
        for site in range(sites):
            for channel in range(channels):
                for zplane in range(zplanes):
                    for tpoint in range(tpoints):
                        yield PlaneFile(
                            "P",
                            well,
                            site,
                            f"C{channel}",
                            tpoint,
                            zplane,
                            f"{well}_s{site}_c{channel}_z{zplane}_t{tpoint}.tif",
                            stage_x_um=100.0 * site,
                            stage_y_um=0.0,
                        )


def write(folder: Path, plane: PlaneFile) -> Path:
    """Write the file of a plane, with pixels of its own."""
    assert plane.path is not None
    pixels = np.random.default_rng(abs(hash(plane.path))).integers(0, 4096, SHAPE)
    path = folder / plane.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_tiff(path, pixels.astype("uint16"))


def manifest(folder: Path, listed: list[PlaneFile], **more: object) -> Manifest:
    """Make the manifest of a folder."""
    options = more.pop("options", ManifestOptions())
    given: dict[str, object] = {
        "acquisition": None,
        "options": options,
        "settings": Settings(),
        "channels": [ChannelInfo("C1", 488.0, 525.0), ChannelInfo("C0")],
    }
    return manifest_of_planes(find_files(folder), "made-up", listed, **(given | more))  # type: ignore[arg-type]  # names are those of its parameters
