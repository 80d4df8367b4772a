"""Dask workers in SLURM jobs, kept at their number.

To be imported by name, by the flow's own process alone: dask-jobqueue 0.9
takes over SIGINT when it is imported, which fails outside the main thread;
there Dask's schedulers and workers import what they unpickle.
"""

import logging
import os
from pathlib import Path
from time import monotonic

from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed import Status
from distributed.deploy.adaptive import Adaptive

__all__ = ["JobKeeper", "SlurmJobs"]

logger = logging.getLogger("imextract.flow")

# SLURM is asked no more often than this for what has become of our jobs.
LOOK_EVERY_S = 10.0
# Looks in a row that find no worker, and jobs that could not be submitted or
# have ended: then nobody waits any longer.
MAX_FAILURES = 3


class SlurmJobs(SLURMCluster):
    """A Dask cluster of SLURM jobs, one worker each.

    Attributes
    ----------
    verdict
        Why no job can be had, once that is certain.
    """

    verdict: str | None = None

    def adapt(self, *, minimum: int, maximum: int) -> Adaptive:  # type: ignore[override]
        """Keep as many jobs as are asked for."""
        keeper: Adaptive = super().adapt(Adaptive=JobKeeper, minimum=minimum, maximum=maximum)
        return keeper

    async def _close(self) -> None:
        await super()._close()  # type: ignore[no-untyped-call]
        # Left to themselves they stay behind when a run fails.
        for name in ("ca_file", "cert", "key"):
            certificate = vars(self).pop(f"_job_{name}", None)
            if certificate is not None:
                certificate.close()  # a temporary file: it is gone then


class JobKeeper(Adaptive):
    """Replaces jobs that have ended, and gives up where none gets as far as a worker.

    Dask's own keeper replaces only jobs whose worker it has seen: with
    dask-jobqueue 0.9 a run waits for ever when `sbatch` refuses a job or a job
    ends before its worker is there.
    """

    cluster: SlurmJobs
    _next_look = 0.0
    _failures = 0

    async def adapt(self) -> None:
        """Look after the jobs; called every second."""
        cluster = self.cluster
        if cluster.observed:
            self._failures = 0
        is_complete = len(cluster.plan) == self.minimum and cluster.plan <= cluster.observed
        if is_complete or cluster.verdict or monotonic() < self._next_look:
            return
        self._next_look = monotonic() + LOOK_EVERY_S
        reason = await self._forget_ended() or ""
        reason = await self._submit_missing() or reason
        if reason:
            logger.warning("%s", reason)
            self._failures += 1
        if self._failures >= MAX_FAILURES:
            cluster.verdict = reason

    async def _forget_ended(self) -> str | None:
        """Forget jobs that SLURM no longer has, and tell of one of them."""
        cluster = self.cluster
        jobs = {name: job for name, job in cluster.workers.items() if name not in cluster.observed}
        if not jobs:
            return None
        try:
            listed = await _squeue()
        except (OSError, RuntimeError) as error:
            return f"SLURM does not tell of its jobs: {_last_line(str(error))}"
        ended = {name: job for name, job in jobs.items() if job.job_id not in listed}
        for name in ended:
            _forget(cluster, name)
        return _epitaph(next(iter(ended.values()))) if ended else None

    async def _submit_missing(self) -> str | None:
        """Submit as many jobs as there should be more, and say what `sbatch` has against it."""
        cluster = self.cluster
        while len(cluster.worker_spec) < self.minimum:
            cluster.worker_spec.update(cluster.new_worker_spec())  # type: ignore[no-untyped-call]
        try:
            await cluster
        except (OSError, RuntimeError, ValueError) as error:
            for name in [name for name, job in cluster.workers.items() if job.job_id is None]:
                _forget(cluster, name)
            return f"sbatch takes no job: {_last_line(str(error))}"
        return None


async def _squeue() -> set[str]:
    command = ["squeue", "--noheader", "--format=%A", f"--user={os.getuid()}"]
    listed: str = await SLURMJob._call(command)  # type: ignore[no-untyped-call]  # noqa: SLF001  as dask-jobqueue itself asks SLURM
    return set(listed.split())


def _forget(cluster: SlurmJobs, name: str) -> None:
    # By both: a replacement of the same name would be taken for the lost worker.
    del cluster.worker_spec[name]
    # Or else the cluster does not close: "AssertionError: Status.created".
    cluster.workers.pop(name).status = Status.closed


def _epitaph(job: SLURMJob) -> str:
    text = f"job {job.job_id} has ended and its worker is not there"
    if job.log_directory is None:
        return text
    log = Path(job.log_directory, f"{job.job_name}-{job.job_id}.err").absolute()
    try:
        last = _last_line(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return f"{text}, nor is its log {log}"
    return f"{text}; the last line of {log}: {last}"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["(empty)"])[-1].strip()
