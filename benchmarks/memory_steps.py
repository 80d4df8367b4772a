"""The jobs of `benchmarks.memory`, in a process whose memory is its own."""

import json
import sys

import psutil

from imextract.batches import ImextractBatchArguments
from imextract.config import Settings
from imextract.extractor import ImageExtractor


def main() -> None:
    """Do all jobs and print the memory after some of them, as JSON."""
    given = json.loads(sys.argv[1])
    settings = Settings(**given["settings"])
    arguments = ImextractBatchArguments(batch_size=1)
    megabytes = []
    for batch in ImageExtractor(1, settings).create_run_batches(arguments):
        # Made anew for every job, as the task does.
        result = ImageExtractor(1, settings).run_job(batch)
        if result.extracted != 1:
            raise RuntimeError(f"job {batch.job}: {result.failures}")
        if batch.job in given["marks"]:
            megabytes.append(_resident_mb())
    print(json.dumps(megabytes))


def _resident_mb() -> float:
    worker = psutil.Process()
    family = [worker, *worker.children(recursive=True)]
    return sum(process.memory_info().rss for process in family) / 1e6


if __name__ == "__main__":
    main()
