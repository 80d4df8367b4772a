"""How many jobs there are: as many as make each worth its overhead and all end together."""

import math
from dataclasses import dataclass

from imextract.batches import ImextractBatchArguments
from imextract.compression import CompressionName

__all__ = ["Work", "job_count"]

# Raw pixels that a worker reads, compresses and writes in a second; what it
# takes for a plane of any size. To be right within a factor of two is enough.
_MB_PER_S: dict[CompressionName, float] = {
    "zstd": 250.0,
    "lz4": 400.0,
    "none": 400.0,
    "gzip": 45.0,
    "archive": 50.0,
}
_PLANE_S = 0.005

# A job costs some 0.2 s beside its planes: a task of Prefect, files opened, a
# transaction. Of the shortest job that is split off this is one part in fifty.
_SHORTEST_S = 10.0
# No more than this is begun anew when a worker dies.
_LONGEST_S = 30.0
# Jobs per worker, so that all workers end at about the same time.
_TURNS = 4
# Prefect's server takes no more tasks of a run without strain.
_MOST_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to extract.

    Attributes
    ----------
    sites, planes
        How many have planes to extract, and how many planes these are.
    pixel_bytes
        Of all these planes, as they are in the source.
    """

    sites: int
    planes: int
    pixel_bytes: int

    def seconds(self, compression: CompressionName) -> float:
        """Give about how long one worker would take for all of it."""
        return self.planes * _PLANE_S + self.pixel_bytes / 1e6 / _MB_PER_S[compression]


def job_count(work: Work, arguments: ImextractBatchArguments) -> int:
    """Give the number of jobs, of whole sites, that work is shared out into.

    At least `arguments.workers` of them when there are sites enough. Beyond
    this by `arguments.batch_size`, if given; else by the work: jobs of half a
    minute, shorter ones where workers would else end one long after another.
    """
    if arguments.batch_size is not None:
        wanted = math.ceil(work.sites / arguments.batch_size)
    else:
        seconds = work.seconds(arguments.compression)
        turns = min(_TURNS, int(seconds / _SHORTEST_S / arguments.workers))
        even = turns * arguments.workers
        wanted = min(max(math.ceil(seconds / _LONGEST_S), even), _MOST_JOBS)
    return min(max(wanted, arguments.workers), work.sites)
