"""TIFFs of every kind that a reader of our own reads, made for measuring."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from imextract.simulation import PlateLayout, expected_plane
from imextract.simulation.stk import write_stk

__all__ = ["make_kinds"]

_LAYOUT = PlateLayout(wells=1, sites=1, channels=4, zplanes=1, height=2048, width=2048)
_TIFFS: Mapping[str, dict[str, Any]] = {
    "multi-page TIFF": {"metadata": None},
    "LZW TIFF": {"metadata": None, "compression": "lzw", "predictor": True},
    "BigTIFF": {"metadata": None, "bigtiff": True},
    "ImageJ TIFF": {"imagej": True, "metadata": {"axes": "CYX"}},
    "OME-TIFF": {"ome": True, "metadata": {"axes": "CYX"}},
}


def make_kinds(folder: Path) -> dict[str, Path]:
    """Write a file of each kind: four planes of 2048 x 2048 pixels of 16 bits, or one."""
    planes = np.stack([expected_plane(_LAYOUT, key) for key in _LAYOUT.plane_keys()])
    found = {"TIFF of one plane": folder / "single.tif", "MetaMorph STK": folder / "stack.stk"}
    tifffile.imwrite(found["TIFF of one plane"], planes[0], metadata=None)
    write_stk(found["MetaMorph STK"], list(planes), pixel_size_um=0.3, zstep_um=1)
    for kind, options in _TIFFS.items():
        suffix = ".ome.tif" if "ome" in options else ".tif"
        found[kind] = folder / f"{kind.replace(' ', '-')}{suffix}"
        tifffile.imwrite(found[kind], planes, photometric="minisblack", **options)
    return found
