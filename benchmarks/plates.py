"""The planes that everybody is measured on."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.bench import Bench
from imextract.simulation import PlateLayout, expected_plane, simulate

__all__ = ["MEGABYTES", "multi_series_file", "operetta_plate"]

_LAYOUT = PlateLayout(sites=8, channels=4, zplanes=1, height=2048, width=2048)
# Of pixels, per plane.
MEGABYTES = 2048 * 2048 * 2 / 1e6


def operetta_plate(bench: Bench, wells: int) -> Path:
    """Give an Operetta plate of 32 planes per well, one uncompressed TIFF each.

    Uncompressed, so that not the decoder of TIFFs is compared; Harmony writes LZW.
    """
    folder = bench.folder / f"operetta-{wells}"
    if not folder.exists():
        simulate(folder, "operetta", dataclasses.replace(_LAYOUT, wells=wells))
        with ProcessPoolExecutor() as pool:
            list(pool.map(_uncompress, sorted((folder / "Images").glob("*.tiff"))))
    return folder


def multi_series_file(bench: Bench, wells: int) -> Path:
    """Give an OME-TIFF of as many series as there are sites, 4 channels each."""
    folder = bench.folder / f"multi-{wells}"
    if not folder.exists():
        folder.mkdir()
        with tifffile.TiffWriter(folder / "plate.ome.tif", ome=True, bigtiff=True) as file:
            for stack in _stacks(dataclasses.replace(_LAYOUT, wells=wells)):
                file.write(stack, metadata={"axes": "CYX"})
    return folder


def _stacks(layout: PlateLayout) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint16]]]:
    keys = list(layout.plane_keys())
    for start in range(0, len(keys), layout.channels):
        planes = [expected_plane(layout, key) for key in keys[start : start + layout.channels]]
        yield np.stack(planes)


def _uncompress(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path), metadata=None)
