"""The planes that everybody is measured on."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.bench import Bench
from imextract.simulation import PlaneKey, PlateLayout, expected_plane, read_stamp, simulate

__all__ = ["MEGABYTES", "Plate", "multi_series_file", "operetta_plate"]

_LAYOUT = PlateLayout(sites=8, channels=4, zplanes=1, height=2048, width=2048)
# Of pixels, per plane.
MEGABYTES = 2048 * 2048 * 2 / 1e6


@dataclass(frozen=True, slots=True)
class Plate:
    """A folder, and what was simulated in it: 32 planes a well."""

    folder: Path
    layout: PlateLayout

    @property
    def planes(self) -> int:
        """How many there are."""
        return self.layout.plane_count

    @property
    def pixel_mb(self) -> float:
        """MB of raw pixels."""
        return self.planes * MEGABYTES

    @property
    def register_options(self) -> Sequence[str]:
        """What registering must be told."""
        return ()

    def has(self, stamp: Sequence[int]) -> bool:
        """Whether a plane begins so; some pixels of others look like it by chance."""
        return read_stamp(np.array([stamp])) in set[object](self.layout.plane_keys())

    def is_right(self, stamp: Sequence[int], checksum: str) -> bool:
        """Whether the plane of a stamp has pixels of such a SHA-256."""
        key = read_stamp(np.array([stamp]))
        return key is not None and checksum == hashlib.sha256(self.pixels(key).data).hexdigest()

    def pixels(self, key: PlaneKey) -> NDArray[np.uint16]:
        """Give the pixels of a plane, as they were made."""
        return expected_plane(self.layout, key)


def operetta_plate(bench: Bench, wells: int) -> Plate:
    """Give an Operetta plate, one uncompressed TIFF a plane.

    Uncompressed, so that not the decoder of TIFFs is compared; Harmony writes LZW.
    """
    plate = Plate(bench.folder / f"operetta-{wells}", replace(_LAYOUT, wells=wells))
    if not plate.folder.exists():
        simulate(plate.folder, "operetta", plate.layout)
        with ProcessPoolExecutor() as pool:
            list(pool.map(_uncompress, sorted((plate.folder / "Images").glob("*.tiff"))))
    return plate


def multi_series_file(bench: Bench, wells: int) -> Plate:
    """Give an OME-TIFF of as many series as there are sites, 4 channels each."""
    plate = Plate(bench.folder / f"multi-{wells}", replace(_LAYOUT, wells=wells))
    if not plate.folder.exists():
        plate.folder.mkdir()
        with tifffile.TiffWriter(plate.folder / "plate.ome.tif", ome=True, bigtiff=True) as file:
            for stack in _stacks(plate):
                file.write(stack, metadata={"axes": "CYX"})
    return plate


def _stacks(plate: Plate) -> Iterator[NDArray[np.uint16]]:
    keys, channels = list(plate.layout.plane_keys()), plate.layout.channels
    for start in range(0, len(keys), channels):
        yield np.stack([plate.pixels(key) for key in keys[start : start + channels]])


def _uncompress(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path), metadata=None)
