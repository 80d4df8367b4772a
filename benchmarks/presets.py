"""What each compression preset costs: ``python benchmarks/presets.py`` prints a table.

One core, one simulated plane of 2048 x 2048 pixels of 12 bits, the whole HDF5
file in memory, best of five.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from imextract.compression import PRESETS
from imextract.hdf5 import decode_plane, encode_plane
from imextract.simulation import PlateLayout, expected_plane

T = TypeVar("T")


def best_seconds(action: Callable[[], T]) -> tuple[float, T]:
    """Time an action five times and give the best time and the result."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - start)
    return min(times), result


def main() -> None:
    """Print the table."""
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=1, height=2048, width=2048)
    pixels = expected_plane(layout, next(layout.plane_keys()))
    megabytes = pixels.nbytes / 1e6
    print("| preset | write MB/s | read MB/s | ratio |\n|---|---:|---:|---:|")
    for name in PRESETS:
        writing, content = best_seconds(lambda name=name: encode_plane(pixels, {}, name))  # type: ignore[misc]  # bound now
        reading, _ = best_seconds(lambda content=content: decode_plane(content, "plane"))  # type: ignore[misc]  # bound now
        ratio = pixels.nbytes / len(content)
        print(f"| `{name}` | {megabytes / writing:.0f} | {megabytes / reading:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
