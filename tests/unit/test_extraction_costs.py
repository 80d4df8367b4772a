"""What extraction must not do, counted rather than timed."""

import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from imextract.batches import ImextractBatchArguments
from imextract.durable import write_flushed
from imextract.extractor import ImageExtractor
from imextract.hdf5 import encode_plane
from imextract.planes import PlaneRef
from imextract.projection import project_maximum
from imextract.readers.expected import MOST_OPEN
from imextract.readers.protocol import PlaneReader
from imextract.readers.registry import open_reader
from imextract.readers.tiff import TiffReader
from imextract.registration.manifest import (
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    SiteInfo,
    SiteKey,
)
from tests.experiments import Rows, make_experiment, registered, seen, settings_in

MEGABYTE = 2**20


@pytest.fixture
def large_plane(tmp_path: Path) -> Path:
    path = tmp_path / "plane.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 4000, (2048, 2048), np.uint16))
    return path


def test_a_plane_is_read_into_one_array(large_plane: Path) -> None:
    with TiffReader(large_plane) as reader:
        tracemalloc.start()
        try:
            pixels = project_maximum([reader.read_plane(PlaneRef(0, 0))])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert pixels.nbytes == 8 * MEGABYTE
    assert peak < 9 * MEGABYTE


def test_a_plane_is_compressed_through_one_array_into_another(large_plane: Path) -> None:
    pixels = tifffile.imread(large_plane)
    tracemalloc.start()
    try:
        encode_plane(pixels, {}, "zstd")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 17 * MEGABYTE


def test_the_disk_takes_a_compressed_plane_from_where_it_was_made(
    large_plane: Path, tmp_path: Path
) -> None:
    content = encode_plane(tifffile.imread(large_plane), {}, "zstd")
    tracemalloc.start()
    try:
        write_flushed(tmp_path / "plane.h5", content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "plane.h5").read_bytes() == content
    assert peak < MEGABYTE / 4


def test_memory_of_a_plane_is_used_again_for_the_next() -> None:
    code = (
        "import resource, numpy\n"
        "from imextract.allocator import keep_memory\n"
        "keep_memory()\n"
        "faults = []\n"
        "for _ in range(10):\n"
        "    numpy.ones(8 * 2**20, 'u1')\n"
        "    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(faults[-1] - faults[2])\n"
    )
    # As Dask starts its workers.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    pages_of_a_plane = 8 * 2**20 // resource.getpagesize()
    assert int(done.stdout) < pages_of_a_plane


def test_a_job_opens_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # More files than stay open; planes time point by time point, each of which is in all files.
    manifest = _stacks(tmp_path / "originals", files=MOST_OPEN + 1, tpoints=2)
    extractor = registered(manifest, settings_in(tmp_path)).extractor
    opened: list[Path] = []

    def count(name: str, path: Path, *given: Any) -> PlaneReader:
        opened.append(path)
        return open_reader(name, path, *given)

    monkeypatch.setattr("imextract.sources.open_reader", count)
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    assert extractor.run_job(batch).extracted == 2 * (MOST_OPEN + 1)
    assert len(opened) == len(set(opened)) == MOST_OPEN + 1


def test_a_job_has_the_next_file_read_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = make_experiment(tmp_path, sites=2).extractor
    order: list[tuple[str, Path]] = []

    def opened(name: str, path: Path, *given: Any) -> PlaneReader:
        order.append(("opened", path))
        return open_reader(name, path, *given)

    monkeypatch.setattr("imextract.sources.open_reader", opened)
    # Noted, not done: these files are in memory anyway.
    monkeypatch.setattr(
        "imextract.sources.read_file_ahead", lambda path, _: order.append(("ahead", path))
    )
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    assert extractor.run_job(batch).extracted == 8
    files = [path for what, path in order if what == "opened"]
    assert len(files) > 1
    rest = [step for path in files[1:] for step in (("ahead", path), ("opened", path))]
    assert order == [("opened", files[0]), *rest]


def _stacks(folder: Path, files: int, tpoints: int) -> Manifest:
    """Write a TIFF per zplane, of a page per tpoint, and give the manifest by tpoints."""
    folder.mkdir()
    site, shape = SiteKey("P1", "A01", 0), (8, 8)
    manifest = Manifest(folder, "pattern", channels={"DAPI": ChannelInfo("DAPI")})
    manifest.sites[site] = SiteInfo(0, 0, *shape)
    for zplane in range(files):
        path = folder / f"{zplane}.tif"
        tifffile.imwrite(path, np.full((tpoints, *shape), zplane, np.uint16), metadata=None)
        manifest.data_sets.append(DataSet(seen(folder, path), (), "tifffile", "TIFF"))
    rows = [
        ManifestRow(site, "A1", 0, "DAPI", t, z, f"{z}.tif", PlaneRef(0, t), *shape, "uint16")
        for t in range(tpoints)
        for z in range(files)
    ]
    manifest.row_groups.append(Rows(rows))
    return manifest


def test_a_job_writes_to_the_ledger_twice(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=8)
    # As in a run, which holds the lease for all its jobs.
    lease = experiment.extractor.take("a run")
    extractor = ImageExtractor(experiment.experiment_id, experiment.settings, lease)
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    commits = []

    def count(connection: Connection) -> None:
        if connection.get_execution_options().get("sqlite_begin") != "DEFERRED":
            commits.append(connection)

    event.listen(Engine, "commit", count)
    try:
        assert extractor.run_job(batch).extracted == 32
    finally:
        event.remove(Engine, "commit", count)
    # That it begins, and what it has done.
    assert len(commits) == 2
