"""A run job: every plane of a batch, extracted or its failure recorded."""

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from imextract.batches import BatchResult, RunBatch
from imextract.compression import CompressionName
from imextract.config import Settings
from imextract.database.batches import begin_run, end_run, get_batch
from imextract.database.files import data_sets_of_entries
from imextract.database.planes import NOT_STORED, PlaneRecord, planes_of_batch, record_outcomes
from imextract.database.session import Database
from imextract.errors import (
    ConfigError,
    ImextractError,
    PlaneMismatchError,
    PlaneNotFoundError,
    SourceFileError,
)
from imextract.journal import Journal
from imextract.lease import Lease, require_lease
from imextract.planes import PixelArray
from imextract.sources import SourceReader
from imextract.store import FolderStore
from imextract.stored import EncodedPlane, StoredPlane, adopt_plane, encode, ledger_values
from imextract.write_behind import WriteBehind

__all__ = ["extract_batch"]

logger = logging.getLogger(__name__)

# What is the matter with a plane, and not with the job.
_PLANE_ERRORS = (SourceFileError, PlaneNotFoundError, PlaneMismatchError)

_MOST_NAMED = 20


@dataclass(slots=True)
class _Tally:
    """What has been done so far, and what is to be written to the ledger."""

    extracted: int = 0
    already_there: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)


def extract_batch(
    database: Database,
    store: FolderStore,
    settings: Settings,
    batch: RunBatch,
    lease: Lease,
    assume_clean_state: bool = False,
) -> BatchResult:
    """Extract the planes of a batch that are not extracted yet.

    A plane that cannot be read is recorded as failed and stops nothing but
    itself. What is done is recorded in one transaction at the end; should
    the process die before, a rerun takes over the files that it stored.

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
    tally = _Tally()
    with Journal() as journal:
        compression, planes, done_before, run_id = _begin(database, batch, lease)
        tally.already_there = done_before
        try:
            _extract_all(store, settings, compression, planes, assume_clean_state, database, tally)
        except BaseException as error:
            # Whatever stops the job, an interrupt too: what was done is kept.
            reason = str(error) or type(error).__name__
            logger.error("job %d stopped: %s", batch.job, reason)  # noqa: TRY400  its text is enough
            _end(database, batch, lease, run_id, tally, journal, reason)
            raise
        seconds = time.perf_counter() - started
        _log_end(batch, tally, seconds)
        _end(database, batch, lease, run_id, tally, journal, None)
    return BatchResult(
        job=batch.job,
        planned=len(planes) + done_before,
        extracted=tally.extracted,
        already_there=tally.already_there,
        failed=len(tally.failures),
        bytes_in=tally.bytes_in,
        bytes_out=tally.bytes_out,
        seconds=seconds,
        failures=tuple(tally.failures[:_MOST_NAMED]),
    )


def _begin(
    database: Database, batch: RunBatch, lease: Lease
) -> tuple[CompressionName, list[PlaneRecord], int, int]:
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
        run_id = begin_run(session, batch.batch_id)
        compression: CompressionName = row.compression  # type: ignore[assignment]  # CHECKed text
    logger.info("job %d: %d of %d planes to extract", batch.job, len(missing), len(planes))
    return compression, _in_file_order(missing), len(planes) - len(missing), run_id


def _in_file_order(planes: list[PlaneRecord]) -> list[PlaneRecord]:
    return sorted(planes, key=lambda p: (p.sources[0].entry_id, p.sources[0].ref, p.id))


def _extract_all(
    store: FolderStore,
    settings: Settings,
    compression: CompressionName,
    planes: list[PlaneRecord],
    assume_clean_state: bool,
    database: Database,
    tally: _Tally,
) -> None:
    with database.reading() as session:
        entries = {source.entry_id for plane in planes for source in plane.sources}
        data_sets = data_sets_of_entries(session, sorted(entries))
    stamps = {entry_id: data_set.stamp for entry_id, data_set in data_sets.items()}
    with SourceReader(data_sets, settings) as reader, WriteBehind(store) as writer:
        try:
            for plane, following in _with_next(planes):
                stamp = ",".join(stamps[source.entry_id] for source in plane.sources)
                found = None if assume_clean_state else adopt_plane(store, plane, stamp)
                if found is not None:
                    tally.already_there += 1
                    tally.changes.append(_extracted(plane, found))
                    continue
                pixels = _read(reader, plane, following, tally)
                if pixels is not None:
                    encoded = encode(plane, pixels, compression, stamp)
                    _count(writer.add(plane, encoded), tally)
        finally:
            _count(writer.rest(), tally)


def _read(
    reader: SourceReader, plane: PlaneRecord, following: PlaneRecord | None, tally: _Tally
) -> PixelArray | None:
    """Read a plane; None if it cannot be read, which is recorded."""
    try:
        pixels = reader.read(plane)
    except _PLANE_ERRORS as error:
        _record_failure(plane, error, tally)
        return None
    if following is not None:
        reader.prefetch(following)
    return pixels


def _count(stored: Iterable[tuple[PlaneRecord, EncodedPlane]], tally: _Tally) -> None:
    for plane, encoded in stored:
        tally.extracted += 1
        tally.bytes_in += encoded.pixel_bytes
        tally.bytes_out += len(encoded.content)
        tally.changes.append(_extracted(plane, encoded.stored))


def _with_next(planes: list[PlaneRecord]) -> Iterator[tuple[PlaneRecord, PlaneRecord | None]]:
    yield from zip_longest(planes, planes[1:])


def _extracted(plane: PlaneRecord, stored: StoredPlane) -> dict[str, Any]:
    if stored.is_suspect:
        logger.warning(
            "%s: all its pixels are equal; it is kept, and holds the deletion of its originals",
            plane.name,
        )
    return {"id": plane.id, **ledger_values(stored)}


def _record_failure(plane: PlaneRecord, error: ImextractError, tally: _Tally) -> None:
    text = f"{plane.name}: {error}"
    logger.warning("failed: %s", text)
    tally.failures.append(text)
    tally.changes.append({"id": plane.id, **NOT_STORED, "state": "failed", "error": str(error)})


def _log_end(batch: RunBatch, tally: _Tally, seconds: float) -> None:
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
    run_id: int,
    tally: _Tally,
    journal: Journal,
    error: str | None,
) -> None:
    with database.transaction() as session:
        require_lease(session, lease)
        record_outcomes(session, batch.batch_id, tally.changes)
        end_run(
            session,
            run_id,
            state="done" if error is None else "failed",
            extracted=tally.extracted,
            already_there=tally.already_there,
            failed=len(tally.failures),
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            error=error,
            log=journal.text,
        )
