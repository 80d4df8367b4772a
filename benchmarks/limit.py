"""The limit: the same planes through bare processes, without ledger, Prefect or Dask.

As many processes as there are workers read planes, compress them by the same
preset through h5py, and write them durably, each checksummed; what starting
takes is not counted.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import tifffile
import xxhash
from numpy.typing import NDArray

__all__ = ["FILTERS", "Speed", "bare_extraction", "planes_by_bioformats", "planes_by_tifffile"]

Plane = NDArray[np.generic]
PlaneReader = Callable[[Sequence[Path], int, int], Iterator[Plane]]

# The presets, as a user of h5py has them.
FILTERS: dict[str, dict[str, Any]] = {
    "zstd": dict(hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=2)),
    "lz4": dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=2)),
    "gzip": {"shuffle": True, "compression": "gzip", "compression_opts": 4},
    "none": {},
}


@dataclass(frozen=True, slots=True)
class Speed:
    """What a number of planes took."""

    planes: int
    seconds: float
    cpu_s: float

    @property
    def planes_per_s(self) -> float:
        """Of all processes together."""
        return self.planes / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU time per plane, in ms."""
        return 1000 * self.cpu_s / self.planes


def planes_by_tifffile(files: Sequence[Path], part: int, parts: int) -> Iterator[Plane]:
    """Read a share of files that hold a plane each."""
    for path in files[part::parts]:
        yield tifffile.imread(path, maxworkers=1)


def planes_by_bioformats(files: Sequence[Path], part: int, parts: int) -> Iterator[Plane]:
    """Read a share of the series of a file, which is kept open, by Bio-Formats' openBytes."""
    import bioformats
    import javabridge

    flags = ["-XX:+UseParallelGC", "-XX:+DisableExplicitGC"]
    javabridge.start_vm(flags, class_path=bioformats.JARS, run_headless=True, max_heap_size="512m")
    root_level = "(Ljava/lang/String;)V"
    javabridge.static_call("loci/common/DebugTools", "setRootLevel", root_level, "ERROR")
    reader = javabridge.make_instance("loci/formats/ImageReader", "()V")
    javabridge.call(reader, "setId", "(Ljava/lang/String;)V", str(files[0]))
    for series in range(part, javabridge.call(reader, "getSeriesCount", "()I"), parts):
        javabridge.call(reader, "setSeries", "(I)V", series)
        shape = [javabridge.call(reader, name, "()I") for name in ("getSizeY", "getSizeX")]
        is_little = javabridge.call(reader, "isLittleEndian", "()Z")
        for plane in range(javabridge.call(reader, "getImageCount", "()I")):
            content = javabridge.call(reader, "openBytes", "(I)[B", plane)
            yield (
                content.view("<u2" if is_little else ">u2").reshape(shape).astype("u2", copy=False)
            )


def bare_extraction(
    read: PlaneReader, files: Sequence[Path], folder: Path, workers: int, preset: str
) -> Speed:
    """Extract planes by bare processes."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(
            target=_extract, args=(read, files, folder, part, workers, preset, barrier, results)
        )
        for part in range(workers)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=3600) for _ in processes]
    for process in processes:
        process.join()
    planes, starts, ends, cpu = zip(*found, strict=True)
    return Speed(sum(planes), max(ends) - min(starts), sum(cpu))


def _extract(
    read: PlaneReader,
    files: Sequence[Path],
    folder: Path,
    part: int,
    parts: int,
    preset: str,
    barrier: Barrier,
    results: "Queue[tuple[int, float, float, float]]",
) -> None:
    planes = read(files, part, parts)
    folder.mkdir(exist_ok=True)
    # The first plane warms up what a running worker has loaded.
    _store(next(planes), folder, f"{part}-0", preset)
    barrier.wait()
    start, cpu, count = time.monotonic(), time.process_time(), 0
    for count, pixels in enumerate(planes, start=1):
        _store(pixels, folder, f"{part}-{count}", preset)
    results.put((count, start, time.monotonic(), time.process_time() - cpu))
    results.close()
    results.join_thread()
    # A process with Java in it does not end by itself.
    os._exit(0)


def _store(pixels: Plane, folder: Path, name: str, preset: str) -> None:
    temporary = folder / f".{name}"
    with h5py.File(temporary, "w") as file:
        dataset = file.create_dataset(
            "array", data=pixels, chunks=(512, 512), fletcher32=True, **FILTERS[preset]
        )
        dataset.attrs["checksum"] = xxhash.xxh3_128_hexdigest(pixels.data)
    _flush(temporary)
    temporary.rename(folder / f"{name}.h5")
    _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
