"""What our own records tell of jobs, whoever ran them."""

import datetime as dt
from dataclasses import dataclass

from imextract.config import Settings
from imextract.database.batches import current_batches, runs_of_batch
from imextract.database.experiments import get_experiment
from imextract.database.models import BatchRow, BatchRunRow
from imextract.workplace import Workplace

__all__ = ["JobRecord", "RunRecord", "current_jobs"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One go at a job: by whom, when, how it ended."""

    state: str
    host: str
    process: int
    started_at: str
    finished_at: str | None
    extracted: int
    already_there: int
    failed: int
    bytes_in: int
    bytes_out: int
    error: str | None
    log: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job of the newest init, and all goes at it, the newest first."""

    job: int
    batch_id: int
    phase: str
    sites: int
    planes: int
    compression: str
    deletes: bool
    created_at: str
    runs: tuple[RunRecord, ...]


def current_jobs(
    experiment_id: int, phase: str, settings: Settings | None = None
) -> list[JobRecord]:
    """Give the jobs of the newest init, in their order.

    Raises
    ------
    UnknownExperimentError, LedgerError
    """
    with Workplace.of(settings).database.reading() as session:
        get_experiment(session, experiment_id)
        return [
            _job(row, [_run(run) for run in runs_of_batch(session, row.id)])
            for row in current_batches(session, experiment_id, phase)
        ]


def _job(row: BatchRow, runs: list[RunRecord]) -> JobRecord:
    return JobRecord(
        job=row.job,
        batch_id=row.id,
        phase=row.phase,
        sites=row.site_count,
        planes=row.plane_count,
        compression=row.compression,
        deletes=row.deletes,
        created_at=_moment(row.created_at),
        runs=tuple(runs),
    )


def _run(row: BatchRunRow) -> RunRecord:
    return RunRecord(
        state=row.state,
        host=row.host,
        process=row.process,
        started_at=_moment(row.started_at),
        finished_at=None if row.finished_at is None else _moment(row.finished_at),
        extracted=row.extracted,
        already_there=row.already_there,
        failed=row.failed,
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        error=row.error,
        log=row.log,
    )


def _moment(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="seconds")
