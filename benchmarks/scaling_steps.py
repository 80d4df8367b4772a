"""One step of `benchmarks.scaling`, in a process whose time and memory are its own."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import String, cast, func, literal, select, update

from benchmarks.measuring import own_peak_mb
from benchmarks.registration import million
from imextract.batches import ImextractBatchArguments
from imextract.cli.main import main as command_line
from imextract.config import Settings
from imextract.database.batches import current_batches
from imextract.database.models import ChannelImageFileRow as Plane
from imextract.database.models import ExperimentRow
from imextract.database.planes import (
    PlaneRecord,
    plane_location,
    planes_of_batch,
    record_outcomes,
)
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.extractor import ImageExtractor
from imextract.workplace import Workplace

__all__ = ["STEPS"]

# Does its part and gives how many planes that concerned.
Step = Callable[[Settings, int], int]

EXPERIMENT = 1
_JOBS = 10
_A_FOLDER = 1000


def register(settings: Settings, planes: int) -> int:
    """Write the rows of planes, a hundred in each file."""
    database = Workplace.of(settings).database
    with database.transaction() as session:
        manifest = million(planes, planes // 100)
        write_manifest(session, manifest, name="rows", experiment_id=None, projects=False)
    return planes


def init(settings: Settings, planes: int) -> int:
    """Share out all planes."""
    if not list(_extractor(settings).create_run_batches(ImextractBatchArguments(batch_size=1))):
        raise RuntimeError("nothing was shared out")
    return planes


def jobs(settings: Settings, _: int) -> int:
    """Read the planes of some jobs from the ledger and record them, as the jobs do."""
    database = Workplace.of(settings).database
    count = 0
    with database.reading() as session:
        batches = [row.id for row in current_batches(session, EXPERIMENT, "run")[:_JOBS]]
    for batch_id in batches:
        with database.reading() as session:
            planes = planes_of_batch(session, batch_id)
        with database.transaction() as session:
            record_outcomes(session, batch_id, [_extracted(plane) for plane in planes])
        count += len(planes)
    return count


def fill(settings: Settings, planes: int) -> int:
    """Make all planes extracted, a thousand in a statement; their files are empty."""
    place = Workplace.of(settings)
    place.store.check()
    with place.database.reading() as session:
        key = session.scalars(select(ExperimentRow.storage_key)).one()
        first, last = session.execute(select(func.min(Plane.id), func.max(Plane.id))).one()
    for number in range(first // _A_FOLDER, last // _A_FOLDER + 1):
        ids = range(max(first, number * _A_FOLDER), min(last + 1, (number + 1) * _A_FOLDER))
        folder = plane_location(key, ids[0]).rpartition("/")[0]
        place.store.path(folder).mkdir(parents=True, exist_ok=True)
        for plane_id in ids:
            os.mknod(place.store.path(f"{folder}/{plane_id}.h5"))
        location = literal(f"{folder}/").concat(cast(Plane.id, String)).concat(".h5")
        with place.database.transaction() as session:
            of_folder = update(Plane).where(Plane.id.between(ids[0], ids[-1]))
            session.execute(of_folder.values(location=location, **_STORED))
    return planes


def _extracted(plane: PlaneRecord) -> dict[str, object]:
    return {"id": plane.id, "location": plane_location(plane.storage_key, plane.id), **_STORED}


_STORED = {
    "state": "extracted", "compression": "zstd", "checksum": "0" * 32, "stored_checksum": "0" * 32,
    "stored_bytes": 0, "is_suspect": False, "error": None,
}  # fmt: skip


def resume(settings: Settings, planes: int) -> int:
    """Find that there is nothing to do."""
    if list(_extractor(settings).create_run_batches(ImextractBatchArguments())):
        raise RuntimeError("something was left to do")
    return planes


def collect(settings: Settings, planes: int) -> int:
    """Account for all planes."""
    extractor = _extractor(settings)
    extractor.collect_job_output(extractor.create_collect_batch(ImextractBatchArguments()))
    return planes


def planes(settings: Settings, planes: int) -> int:
    """List all planes as JSON."""
    _command(settings, "planes", "--format", "json")
    return planes


def info(settings: Settings, planes: int) -> int:
    """Tell of all jobs."""
    _command(settings, "info", "--json")
    return planes


STEPS: dict[str, Step] = {
    step.__name__: step for step in (register, init, jobs, fill, resume, collect, planes, info)
}


def _extractor(settings: Settings) -> ImageExtractor:
    return ImageExtractor(EXPERIMENT, settings)


def _command(settings: Settings, *arguments: str) -> None:
    os.environ["IMEXTRACT_DATABASE_URL"] = settings.database_url
    os.environ["IMEXTRACT_STORAGE_URL"] = settings.storage_url
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        if command_line([str(EXPERIMENT), *arguments]):
            raise RuntimeError(f"{arguments} failed")


def main() -> None:
    """Do one step and print what it took, as JSON."""
    given = json.loads(sys.argv[1])
    storage = str(Path(given["folder"], "planes"))
    settings = Settings(database_url=given["url"], storage_url=storage)
    Database(settings.database_url).prepare()
    start, cpu = time.perf_counter(), time.process_time()
    count = STEPS[given["step"]](settings, given["planes"])
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    cpu_us = 1e6 * cpu_s / count
    print(json.dumps({"seconds": seconds, "cpu_us": cpu_us, "megabytes": own_peak_mb()}))


if __name__ == "__main__":
    main()
