"""A run job: every plane of a batch, extracted or its failure recorded."""

import logging
import time
from dataclasses import dataclass, replace

from imextract.allocator import keep_memory
from imextract.apart import ExtractionApart
from imextract.batches import BatchResult, RunBatch
from imextract.compression import CompressionName
from imextract.database.batches import begin_run, end_run, get_batch, was_cut_off
from imextract.database.planes import PlaneRecord, planes_of_batch, record_outcomes
from imextract.database.session import Database
from imextract.errors import (
    ConfigError,
    PlaneMismatchError,
    PlaneNotFoundError,
    SourceFileError,
    StorageError,
)
from imextract.journal import Journal
from imextract.lease import Lease, require_lease
from imextract.patience import Patience, StalledError
from imextract.planes import PixelArray
from imextract.sources import SourceReader, with_next
from imextract.stored import adopt_plane, encode
from imextract.tally import Tally
from imextract.workplace import Workplace
from imextract.write_behind import WriteBehind

__all__ = ["extract_batch"]

logger = logging.getLogger(__name__)

# What is the matter with a plane, and not with the job.
_PLANE_ERRORS = (SourceFileError, PlaneNotFoundError, PlaneMismatchError)

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class _Job:
    """A go at a batch: what is to be done, and how."""

    run_id: int
    compression: CompressionName
    planes: list[PlaneRecord]
    done_before: int
    assume_clean_state: bool
    is_apart: bool


def extract_batch(
    place: Workplace, batch: RunBatch, lease: Lease, assume_clean_state: bool = False
) -> BatchResult:
    """Extract the planes of a batch that are not extracted yet.

    A plane that cannot be read is recorded as failed and stops nothing but
    itself. What is done is recorded in one transaction at the end; should
    the process die before, a rerun takes over the files that it stored, and
    extracts the others in a process beside this one: a plane that ends its
    process does so alone, and is recorded as failed.

    Parameters
    ----------
    assume_clean_state
        Do not look for what is already stored.

    Raises
    ------
    StorageError, LedgerError
        If something stood in the way that may pass; what was done is kept.
    ConfigError
        If there is no such batch.
    ExperimentBusyError
        If another run took over; what was done is then left to that one.
    """
    started = time.perf_counter()
    keep_memory()
    tally = Tally()
    with Journal() as journal:
        job = _begin(place.database, batch, lease, assume_clean_state)
        tally.already_there = job.done_before
        try:
            _extract(place, job, tally)
        except BaseException as error:
            # Whatever stops the job, an interrupt too: what was done is kept.
            reason = str(error) or type(error).__name__
            logger.error("job %d stopped: %s", batch.job, reason)  # noqa: TRY400  its text is enough
            _end(place.database, batch, lease, job, tally, journal, reason)
            raise
        seconds = time.perf_counter() - started
        _log_end(batch, tally, seconds)
        _end(place.database, batch, lease, job, tally, journal, None)
    return BatchResult(
        job=batch.job,
        planned=len(job.planes) + job.done_before,
        extracted=tally.extracted,
        already_there=tally.already_there,
        failed=len(tally.failures),
        bytes_in=tally.bytes_in,
        bytes_out=tally.bytes_out,
        seconds=seconds,
        failures=tuple(tally.failures[:_MOST_NAMED]),
    )


def _begin(database: Database, batch: RunBatch, lease: Lease, assume_clean_state: bool) -> _Job:
    with database.transaction() as session:
        require_lease(session, lease)
        row = get_batch(session, batch.batch_id)
        if row is None or row.experiment_id != batch.experiment_id:
            raise ConfigError(
                f"experiment {batch.experiment_id} has no batch {batch.batch_id} "
                f"(job {batch.job}); run init again"
            )
        planes = planes_of_batch(session, batch.batch_id)
        missing = [plane for plane in planes if plane.state in ("planned", "failed")]
        is_apart = row.is_apart or was_cut_off(session, batch.batch_id)
        run_id = begin_run(session, batch.batch_id, is_apart=is_apart)
        compression: CompressionName = row.compression  # type: ignore[assignment]  # CHECKed text
    logger.info("job %d: %d of %d planes to extract", batch.job, len(missing), len(planes))
    if is_apart:
        logger.info("job %d: in a process of its own, because one before was cut off", batch.job)
    done_before = len(planes) - len(missing)
    ordered = _in_file_order(missing)
    return _Job(run_id, compression, ordered, done_before, assume_clean_state, is_apart)


def _in_file_order(planes: list[PlaneRecord]) -> list[PlaneRecord]:
    return sorted(planes, key=lambda p: (p.sources[0].entry_id, p.sources[0].ref, p.id))


def _extract(place: Workplace, job: _Job, tally: Tally) -> None:
    if not job.is_apart:
        job = _extract_patiently(place, job, tally)
    _extract_apart(place, job, tally)


def _extract_patiently(place: Workplace, job: _Job, tally: Tally) -> _Job:
    """Extract planes until all are done or a file does not answer, and give what is left."""
    patience = Patience(place.settings.read_timeout_s)
    # Its own: who was left behind may come back and count on.
    here = Tally()
    try:
        patience.run(lambda: _extract_here(place, job, here, patience))
    except StalledError as stall:
        if stall.what == place.store.root:
            raise StorageError(f"{stall}; bring the storage back and run again") from stall
        logger.warning("%s: given up; what is left is extracted in a process of its own", stall)
    finally:
        tally.absorb(here)
    done = {change["id"] for change in tally.changes}
    left = [plane for plane in job.planes if plane.id not in done]
    # What was on its way to the storage may have come there.
    return replace(job, planes=left, assume_clean_state=False)


def _extract_here(place: Workplace, job: _Job, tally: Tally, patience: Patience) -> None:
    store, planes = place.store, job.planes
    with (
        SourceReader.of(place.database, place.settings, planes) as reader,
        WriteBehind(store, replaces=job.assume_clean_state) as writer,
    ):
        try:
            for plane, following in with_next(planes):
                patience.wait_for(plane.sources[0].source_file, len(plane.sources))
                stamp = reader.stamp(plane)
                found = None if job.assume_clean_state else adopt_plane(store, plane, stamp)
                if found is not None:
                    tally.add(plane, found, None)
                    continue
                pixels = _read(reader, plane, tally)
                if following is not None:
                    patience.wait_for(following.sources[0].source_file)
                    reader.prefetch(following)
                if pixels is not None:
                    patience.wait_for(store.root)
                    encoded = encode(plane, pixels, job.compression, stamp)
                    tally.add_all(writer.add(plane, encoded))
            patience.wait_for(store.root)
        finally:
            tally.add_all(writer.rest())


def _read(reader: SourceReader, plane: PlaneRecord, tally: Tally) -> PixelArray | None:
    """Read a plane; None if it cannot be read, which is recorded."""
    try:
        return reader.read(plane)
    except _PLANE_ERRORS as error:
        tally.fail(plane, error)
        return None


def _extract_apart(place: Workplace, job: _Job, tally: Tally) -> None:
    """Extract planes one by one, where one that ends its process takes no other along."""
    apart = ExtractionApart(
        place.settings, job.planes, job.compression, assume_clean_state=job.assume_clean_state
    )
    with apart:
        for plane in job.planes:
            try:
                tally.add(plane, *apart.extract(plane))
            except _PLANE_ERRORS as error:
                tally.fail(plane, error)


def _log_end(batch: RunBatch, tally: Tally, seconds: float) -> None:
    logger.info(
        "job %d: %d planes extracted, %d already there, %d failed; %.1f MB to %.1f MB in %.1f s",
        batch.job,
        tally.extracted,
        tally.already_there,
        len(tally.failures),
        tally.bytes_in / 1e6,
        tally.bytes_out / 1e6,
        seconds,
    )


def _end(
    database: Database,
    batch: RunBatch,
    lease: Lease,
    job: _Job,
    tally: Tally,
    journal: Journal,
    error: str | None,
) -> None:
    with database.transaction() as session:
        require_lease(session, lease)
        record_outcomes(session, batch.batch_id, tally.changes)
        end_run(
            session,
            job.run_id,
            state="done" if error is None else "failed",
            extracted=tally.extracted,
            already_there=tally.already_there,
            failed=len(tally.failures),
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            error=error,
            log=journal.text,
        )
