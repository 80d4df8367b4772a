"""Plates of real planes: copies of single-plane TIFFs of several microscopes."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.bench import Bench
from benchmarks.presets import SETS
from imextract.planes import PixelArray

__all__ = ["RealPlate", "has_real_planes", "real_plate"]

_PATTERN = r"(?P<w>A\d\d)_s(?P<s>\d+)\.tif$"
# Of smaller ones, the files are measured rather than the pixels.
_LEAST_SIDE = 500


@dataclass(slots=True)
class RealPlate:
    """A folder with a well for every microscope, of which all sites are alike.

    Attributes
    ----------
    pixel_mb
        MB of raw pixels.
    """

    folder: Path
    planes: int = 0
    pixel_mb: float = 0
    checksums: set[str] = field(default_factory=set)

    @property
    def register_options(self) -> Sequence[str]:
        """What registering must be told."""
        return ("--pattern", _PATTERN)

    def has(self, _: Sequence[int]) -> bool:
        """Say that any may be: they have no stamps."""
        return True

    def is_right(self, _: Sequence[int], checksum: str) -> bool:
        """Whether these are the pixels of one of the microscopes."""
        return checksum in self.checksums


def has_real_planes(bench: Bench) -> bool:
    """Whether there are files to make such a plate of."""
    return next(_single_planes(bench.data), None) is not None


def real_plate(bench: Bench, megabytes: int) -> RealPlate:
    """Copy the TIFF of each microscope until its pixels are so many MB."""
    plate = RealPlate(bench.folder / f"real-{megabytes}")
    plate.folder.mkdir()
    for well, (path, pixels) in enumerate(_single_planes(bench.data), start=1):
        count = max(1, int(megabytes * 1e6 / pixels.nbytes))
        for site in range(1, count + 1):
            shutil.copyfile(path, plate.folder / f"A{well:02d}_s{site:05d}.tif")
        plate.planes += count
        plate.pixel_mb += count * pixels.nbytes / 1e6
        plate.checksums.add(hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest())
    return plate


def _single_planes(data: Path) -> Iterator[tuple[Path, PixelArray]]:
    for name in SETS.values():
        if (data / name).exists():
            with tifffile.TiffFile(data / name) as file:
                pixels = np.asarray(file.pages[0].asarray())
                is_one_plane = len(file.pages) == 1 and pixels.ndim == 2
            if is_one_plane and min(pixels.shape) >= _LEAST_SIDE:
                yield data / name, pixels
