"""Reading back: a plane, a region of it, and everything for verification."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np

from benchmarks.bench import Bench
from benchmarks.plates import MEGABYTES, operetta_plate
from benchmarks.tables import Table
from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.compression import PRESETS
from imextract.config import Settings
from imextract.durable import read_from_disk
from imextract.extractor import ImageExtractor
from imextract.proof import AT_ONCE
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.verify import verify_experiment
from imextract.workplace import Workplace

__all__ = ["tables"]

_REGION = 256
_QUICK_PLANES = 8
_CORES = len(os.sched_getaffinity(0))


def tables(bench: Bench) -> Iterator[Table]:
    """Compare reading back with bare h5py, by preset."""
    table = Table(
        "How fast are planes read back?",
        ("preset", "get() : bare h5py", "region : whole", "get() MB/s", "bare h5py MB/s",
         "region ms"),
    )  # fmt: skip
    plate = operetta_plate(bench, 1).folder
    for preset in PRESETS:
        _measure(bench, table, plate, preset)
    table.note = (
        f"A region is {_REGION} x {_REGION} pixels at a random place of 2048 x 2048, opened anew "
        "each time; the mean of all planes' best of 3, files in the page cache. Bare h5py opens "
        "the file and reads the array: it compares no checksum of the file or the pixels."
    )
    yield table
    yield _verification(bench)


def _measure(bench: Bench, table: Table, plate: Path, preset: str) -> None:
    folder = bench.folder / f"reading-{preset}"
    settings = _settings(folder)
    experiment_id = _extract(
        plate, settings, ImextractBatchArguments.model_validate({"compression": preset})
    )
    everything = list(ChannelImageFile.find(experiment_id, settings))
    images = everything[: _QUICK_PLANES if bench.is_quick else None]
    store = Workplace.of(settings).store
    paths = [store.path(str(image.record.location)) for image in images]
    places = np.random.default_rng(0).integers(0, 2048 - _REGION, (len(images), 2)).tolist()
    whole = _mean_best([image.get for image in images])
    bare = _mean_best([lambda path=path: _read_bare(path) for path in paths])  # type: ignore[misc]  # bound now
    region = _mean_best(
        [
            lambda image=image, y=y, x=x: image.get(slice(y, y + _REGION), slice(x, x + _REGION))  # type: ignore[misc]  # bound now
            for image, (y, x) in zip(images, places, strict=True)
        ]
    )
    table.add(
        f"`{preset}`",
        bare / whole,
        region / whole,
        MEGABYTES / whole,
        MEGABYTES / bare,
        1000 * region,
    )


def _verification(bench: Bench) -> Table:
    """Compare verifying a plate with all cores doing nothing but `get()`."""
    table = Table(
        "How fast is a plate verified?",
        ("preset", "verify : what bounds it", "verify : cores x get()", "verify MB/s",
         "get() MB/s", "the disk MB/s", "verify MB/CPU-s", "get() MB/CPU-s", "planes"),
    )  # fmt: skip
    settings = _settings(bench.folder / "verifying")
    plate = operetta_plate(bench, bench.wells).folder
    experiment_id = _extract(plate, settings, ImextractBatchArguments())
    images = list(ChannelImageFile.find(experiment_id, settings))
    for _ in range(2):
        # The first time from the disk.
        getting = _timed(lambda: [image.get() is None for image in images])
    megabytes = len(images) * MEGABYTES
    verifying = min(_timed(lambda: _verify(settings, experiment_id)) for _ in range(bench.rounds))
    paths = [Workplace.of(settings).store.path(str(image.record.location)) for image in images]
    reading = min(_timed(lambda: _read_all(paths)) for _ in range(bench.rounds))
    table.add(
        "`zstd`",
        max(reading[0], getting[0] / _CORES) / verifying[0],
        getting[0] / verifying[0] / _CORES,
        megabytes / verifying[0],
        megabytes / getting[0],
        megabytes / reading[0],
        megabytes / verifying[1],
        megabytes / getting[1],
        len(images),
    )
    table.note = (
        f"{_CORES} cores; all planes, one after the other by get() from the page cache, and as "
        f"`imextract N verify` does, from the disk, the best of {bench.rounds}. The disk: the same "
        f"files, of whose pixels these are MB, only read, {AT_ONCE * _CORES} at once. What bounds "
        "verify is the slower of the disk and cores x get()."
    )
    return table


def _settings(folder: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}", storage_url=str(folder / "planes")
    )


def _extract(plate: Path, settings: Settings, arguments: ImextractBatchArguments) -> int:
    request = RegistrationRequest(folder=plate, name=plate.name)
    experiment_id = register_folder(request, settings).experiment_id
    if experiment_id is None:
        raise RuntimeError(f"{plate}: not registered")
    extractor = ImageExtractor(experiment_id, settings)
    for batch in list(extractor.create_run_batches(arguments)):
        extractor.run_job(batch)
    return experiment_id


def _read_bare(path: Path) -> object:
    with h5py.File(path) as file:
        return file["array"][:]


def _mean_best(actions: list[Callable[[], object]]) -> float:
    """Give the mean over actions of the best of three times, in s."""
    best = []
    for action in actions:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        best.append(min(times))
    return float(np.mean(best))


def _verify(settings: Settings, experiment_id: int) -> None:
    for verified in verify_experiment(Workplace.of(settings), experiment_id):
        if verified.error:
            raise RuntimeError(verified.error)


def _read_all(paths: Sequence[Path]) -> None:
    with ThreadPoolExecutor(AT_ONCE * _CORES) as threads:
        list(threads.map(read_from_disk, paths))


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    """Give seconds and CPU seconds, those of the processes that share the work, too."""
    start, cpu = time.perf_counter(), sum(os.times()[:4])
    action()
    return time.perf_counter() - start, sum(os.times()[:4]) - cpu
