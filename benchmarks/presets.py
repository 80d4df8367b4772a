"""What each compression preset costs, and how small it makes planes of real microscopes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import tifffile

from benchmarks.bench import Bench
from benchmarks.tables import Table
from imextract.chunks import ChunkLayout, choose_pipeline, encode_chunks
from imextract.compression import PRESETS
from imextract.hdf5 import encode_plane
from imextract.planes import PixelArray
from imextract.simulation import PlateLayout, expected_plane
from imextract.stored_pixels import decode_plane

__all__ = ["SETS", "tables"]

T = TypeVar("T")

_CHERRY = "--W00001--P00001--Z00000--T00000--cherry.tif"
# Real planes, if the folder is there.
_REAL = {
    "Operetta": "leukemia-kispi+operetta-compose/operetta_plate/Images/"
    "r03c03f01p01-ch1sk1fk1fl1.tiff",
    "20x": f"CellProfiler+examples/ExampleIlluminationCorrection/images/{_CHERRY}",
}
# One file of each set, of which every page that has a size worth dividing is taken.
SETS = {
    **_REAL,
    "BBBC022, IXM": "haesleinhuepf+BioImageAnalysisNotebooks/BBBC022/IXMtest_A02_s9.tif",
    "ImageXpress": "fmi-faim+faim-ipa/9987_Plate_3434/TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF",
    "MetaMorph": "CellProfiler+CellProfiler/metamorph_tif/MetamorphImage.tif",
    "confocal, saturated": "NEUBIAS+training-resources/xy_12bit__saturated_plant/"
    "xy_12bit__saturated_plant.tif",
    "human cells, 8 bits": "CellProfiler+examples/ExampleHuman/images/"
    "AS_09125_050116030001_D03f00d0.tif",
    "SBS plate, 8 bits": "CellProfiler+CellProfiler/ExampleSBSImages/Channel1-01-A-01.tif",
    "TEM, 8 bits": "hyperspy+rosettasciio/TVIPS_bin4/TVIPS_bin4.tif",
}
_WORTH_DIVIDING = 256
_CHUNKS = (128, 256, 512)


def tables(bench: Bench) -> Iterator[Table]:
    """Compare the presets on every plane: one core, the whole file in memory."""
    planes = dict(_planes(bench.data))
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
            reading, _ = _best(rounds, lambda c=content: decode_plane(c, "plane", is_proven=True))  # type: ignore[misc]  # bound now
            megabytes = pixels.nbytes / 1e6
            cells += [pixels.nbytes / len(content), megabytes / writing, megabytes / reading]
        table.add(f"`{preset}`", *cells)
    table.note = (
        f"MB of pixels per CPU second, one thread, the best of {rounds}. "
        "Reading is that of a file whose checksum was compared, as `get()` does."
    )
    yield table
    if sets := dict(_sets(bench.data)):
        yield _ratios(sets)


def _ratios(sets: dict[str, list[PixelArray]]) -> Table:
    table = Table(
        "How small do real planes become?",
        ("image set", "planes", *(f"`{preset}`" for preset in PRESETS if preset != "none"),
         *(f"`zstd` in {size}²" for size in _CHUNKS)),
    )  # fmt: skip
    for name, planes in sets.items():
        table.add(name, len(planes), *_set_ratios(planes))
    means = zip(*(_set_ratios(planes) for planes in sets.values()), strict=True)
    count = sum(map(len, sets.values()))
    table.add("mean of the sets", count, *(float(np.mean(ratios)) for ratios in means))
    table.note = "Bytes of pixels by bytes of their chunks; the last columns by chunk shape."
    return table


def _set_ratios(planes: list[PixelArray]) -> list[float]:
    before = sum(plane.nbytes for plane in planes)
    after = [
        sum(_stored_bytes(plane, preset) for plane in planes)
        for preset in PRESETS
        if preset != "none"
    ]
    after += [sum(_stored_bytes(plane, "zstd", size) for plane in planes) for size in _CHUNKS]
    return [before / size for size in after]


def _stored_bytes(pixels: PixelArray, preset: str, chunk: int | None = None) -> int:
    height, width = pixels.shape
    layout = ChunkLayout.of(height, width)
    if chunk is not None:
        layout = ChunkLayout((height, width), (min(chunk, height), min(chunk, width)))
    pipeline = choose_pipeline(pixels, layout, PRESETS[preset])
    return sum(len(content) for _, content in encode_chunks(pixels, layout, pipeline))


def _sets(data: Path) -> Iterator[tuple[str, list[PixelArray]]]:
    for name, path in SETS.items():
        if (data / path).exists():
            with tifffile.TiffFile(data / path) as file:
                planes = [np.asarray(page.asarray()) for page in file.pages]
            yield name, [plane for plane in planes if _is_worth(plane)]


def _is_worth(plane: PixelArray) -> bool:
    return plane.ndim == 2 and min(plane.shape) >= _WORTH_DIVIDING


def _planes(data: Path) -> Iterator[tuple[str, PixelArray]]:
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=1, height=2048, width=2048)
    yield "simulated", expected_plane(layout, next(layout.plane_keys()))
    for name, path in _REAL.items():
        if (data / path).exists():
            yield name, np.asarray(tifffile.imread(data / path))


def _best(rounds: int, action: Callable[[], T]) -> tuple[float, T]:
    result = action()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        times.append(time.process_time() - start)
    return min(times), result
