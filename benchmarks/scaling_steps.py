"""One step of `benchmarks.scaling`, in a process whose time and memory are its own."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from sqlalchemy import update

from benchmarks.measuring import own_peak_mb
from benchmarks.registration import million
from imextract.batches import ImextractBatchArguments
from imextract.cli.main import main as command_line
from imextract.config import Settings
from imextract.database.models import ChannelImageFileRow
from imextract.database.planes import PlaneFilter, PlaneRecord, find_planes, plane_location
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.extractor import ImageExtractor
from imextract.workplace import Workplace

__all__ = ["STEPS"]

Step = Callable[[Settings, int], None]

EXPERIMENT = 1


def register(settings: Settings, planes: int) -> None:
    """Write the rows of planes, a hundred in each file."""
    database = Workplace.of(settings).database
    with database.transaction() as session:
        manifest = million(planes, planes // 100)
        write_manifest(session, manifest, name="rows", experiment_id=None, projects=False)


def init(settings: Settings, _: int) -> None:
    """Share out all planes."""
    if not list(_extractor(settings).create_run_batches(ImextractBatchArguments(batch_size=1))):
        raise RuntimeError("nothing was shared out")


def fill(settings: Settings, _: int) -> None:
    """Make all planes extracted, as jobs would: a transaction per thousand; files are empty."""
    place = Workplace.of(settings)
    place.store.check()
    found = find_planes(place.database, EXPERIMENT, PlaneFilter())
    while some := list(islice(found, 1000)):
        changes = [_extracted(plane) for plane in some]
        for change in changes:
            path = place.store.path(str(change["location"]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with place.database.transaction() as session:
            session.execute(update(ChannelImageFileRow), changes)


def _extracted(plane: PlaneRecord) -> dict[str, object]:
    return {
        "id": plane.id, "location": plane_location(plane.storage_key, plane.id),
        "state": "extracted", "compression": "zstd", "checksum": "0" * 32,
        "stored_checksum": "0" * 32, "stored_bytes": 0, "is_suspect": False, "error": None,
    }  # fmt: skip


def resume(settings: Settings, _: int) -> None:
    """Find that there is nothing to do."""
    if list(_extractor(settings).create_run_batches(ImextractBatchArguments())):
        raise RuntimeError("something was left to do")


def collect(settings: Settings, _: int) -> None:
    """Account for all planes."""
    extractor = _extractor(settings)
    extractor.collect_job_output(extractor.create_collect_batch(ImextractBatchArguments()))


def planes(settings: Settings, _: int) -> None:
    """List all planes as JSON."""
    _command(settings, "planes", "--format", "json")


def info(settings: Settings, _: int) -> None:
    """Tell of all jobs."""
    _command(settings, "info", "--json")


STEPS: dict[str, Step] = {
    step.__name__: step for step in (register, init, fill, resume, collect, planes, info)
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
    STEPS[given["step"]](settings, given["planes"])
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "megabytes": own_peak_mb()}))


if __name__ == "__main__":
    main()
