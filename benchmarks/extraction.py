"""Extraction against its limit: the whole flow, and bare processes, on the same planes."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.bench import Bench
from benchmarks.limit import (
    PlaneReader,
    Speed,
    bare_extraction,
    planes_by_bioformats,
    planes_by_tifffile,
)
from benchmarks.ours import FlowRun, Flows, serving_flows
from benchmarks.plates import MEGABYTES, multi_series_file, operetta_plate
from benchmarks.tables import Table
from imextract.channel_image_file import ChannelImageFile

__all__ = ["tables"]


def tables(bench: Bench) -> Iterator[Table]:
    """Compare the flow with its limit, for single TIFFs and through Bio-Formats."""
    table = Table(
        "How near to the limit is a whole run?",
        ("planes", "ours : limit", "jobs : limit", "ours MB/s", "limit MB/s",
         "limit CPU ms a plane", "start-up s", "peak MB of a process", "planes"),
    )  # fmt: skip
    with serving_flows(bench) as flows:
        plate = operetta_plate(bench, bench.wells).folder
        files = sorted((plate / "Images").glob("*.tiff"))
        experiment_id = flows.register(plate)
        for preset in ("zstd",) if bench.is_quick else ("zstd", "lz4"):
            name = f"single TIFFs, {preset}"
            _compare(bench, flows, table, name, experiment_id, planes_by_tifffile, files, preset)
        _check_pixels(flows, experiment_id)
        multi = multi_series_file(bench, bench.wells).folder
        experiment_id = flows.register(multi, "bioformats")
        flows.read_by_bioformats()
        files = list(multi.glob("*.ome.tif"))
        name = "one OME-TIFF through Bio-Formats, zstd"
        _compare(bench, flows, table, name, experiment_id, planes_by_bioformats, files, "zstd")
    table.note = (
        f"Planes of 2048 x 2048 pixels of 16 bits, {bench.workers} workers, {bench.rounds} rounds "
        "in turn; the medians. Ours: from the begin of the first job to the end of the flow's "
        "collect, by the ledger; jobs: to the end of the last job. "
        "Limit: as many bare processes that read a plane (tifffile; "
        "Bio-Formats' openBytes), compress it through h5py, checksum it, flush file and folder. "
        "Start-up: the rest of the program, importing Prefect and starting Dask."
    )
    yield table


def _compare(
    bench: Bench,
    flows: Flows,
    table: Table,
    name: str,
    experiment_id: int,
    read: PlaneReader,
    files: Sequence[Path],
    preset: str,
) -> None:
    limits: list[Speed] = []
    ours: list[FlowRun] = []
    for _ in range(bench.rounds):
        bare = bench.folder / "bare"
        limits.append(bare_extraction(read, files, bare, bench.workers, preset))
        shutil.rmtree(bare)
        flows.forget(experiment_id)
        ours.append(flows.run(experiment_id, workers=bench.workers, compression=preset))
    limit = float(np.median([speed.planes_per_s for speed in limits]))
    speed = float(np.median([run.planes / run.seconds for run in ours]))
    table.add(
        name,
        speed / limit,
        float(np.median([run.planes / run.jobs_s for run in ours])) / limit,
        speed * MEGABYTES,
        limit * MEGABYTES,
        float(np.median([speed.cpu_ms for speed in limits])),
        float(np.median([run.whole.wall_s - run.seconds for run in ours])),
        max(run.whole.peak_mb for run in ours),
        ours[0].planes,
    )


def _check_pixels(flows: Flows, experiment_id: int) -> None:
    """Make sure that what was so fast is also right, plane by plane."""
    for image in ChannelImageFile.find(experiment_id, flows.settings):
        (source,) = image.record.sources
        np.testing.assert_array_equal(image.get(), tifffile.imread(source.source_file))
