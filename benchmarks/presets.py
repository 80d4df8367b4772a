"""What each compression preset costs, on a simulated plane and on real ones."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import tifffile

from benchmarks.bench import Bench
from benchmarks.tables import Table
from imextract.compression import PRESETS
from imextract.hdf5 import decode_plane, encode_plane
from imextract.planes import PixelArray
from imextract.simulation import PlateLayout, expected_plane

__all__ = ["tables"]

T = TypeVar("T")

# Files of real planes, if the folder is there: an Operetta, a 20x objective.
_SHARED = Path(__file__).parents[2] / "shared" / "data"
_CHERRY = "--W00001--P00001--Z00000--T00000--cherry.tif"
# Real planes, if the folder is there.
_REAL = {
    "Operetta": "leukemia-kispi+operetta-compose/operetta_plate/Images/"
    "r03c03f01p01-ch1sk1fk1fl1.tiff",
    "20x": f"CellProfiler+examples/ExampleIlluminationCorrection/images/{_CHERRY}",
}


def tables(bench: Bench) -> Iterator[Table]:
    """Compare the presets on every plane: one core, the whole file in memory."""
    planes = dict(_planes())
    table = Table(
        "What does each preset cost?",
        ("preset", *(f"{name}: ratio | write MB/s | read MB/s" for name in planes)),
    )
    # Three columns of each plane.
    table.columns = ("preset", *(c for column in table.columns[1:] for c in column.split(" | ")))
    rounds = 3 if bench.is_quick else 7
    for preset in PRESETS:
        cells: list[float] = []
        for pixels in planes.values():
            writing, content = _best(rounds, lambda p=pixels, n=preset: encode_plane(p, {}, n))  # type: ignore[misc]  # bound now
            reading, _ = _best(rounds, lambda c=content: decode_plane(c, "plane"))  # type: ignore[misc]  # bound now
            megabytes = pixels.nbytes / 1e6
            cells += [pixels.nbytes / len(content), megabytes / writing, megabytes / reading]
        table.add(f"`{preset}`", *cells)
    table.note = f"MB of pixels per CPU second, one thread, the best of {rounds}."
    yield table


def _planes() -> Iterator[tuple[str, PixelArray]]:
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=1, height=2048, width=2048)
    yield "simulated", expected_plane(layout, next(layout.plane_keys()))
    for name, path in _REAL.items():
        if (_SHARED / path).exists():
            yield name, np.asarray(tifffile.imread(_SHARED / path))


def _best(rounds: int, action: Callable[[], T]) -> tuple[float, T]:
    result = action()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        times.append(time.process_time() - start)
    return min(times), result
