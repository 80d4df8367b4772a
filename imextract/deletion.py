"""Freeing originals: proven first, recorded second, deleted last."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids, count_states, get_experiment
from imextract.database.files import (
    MicroscopeFile,
    are_pending,
    entries_of_acquisitions,
    move_files,
    unfinished_files,
    unfinished_planes,
)
from imextract.deletion_case import DeletionCase
from imextract.lease import Lease, require_lease
from imextract.originals import identity_of, why_unsafe
from imextract.proof import ProofKind
from imextract.prover import PlanesToProve, Prover
from imextract.workplace import Workplace

__all__ = ["Deletion", "delete_originals"]

logger = logging.getLogger(__name__)

_MOST_NOTES = 50

_HELD = (
    "it has planes that nobody stores, because a manifest left them out, they are of a type that "
    "cannot be stored, or their z-stack lacks planes and is not projected; register the folder "
    "as another experiment without that to have them, or delete it by hand"
)


@dataclass(slots=True)
class Deletion:
    """What was deleted, what was kept, and why."""

    deleted_files: int = 0
    _kept: list[str] = field(default_factory=list)
    _kept_count: int = 0

    def keep(self, what: str, reason: str) -> None:
        """Note why something is kept, most often a file by its path."""
        # A reason names a file; it may be this one, or one that hangs together with it.
        what = reason if reason.startswith(f"{what}:") else f"{what}: {reason}"
        logger.warning("kept: %s", what)
        self._kept_count += 1
        if len(self._kept) < _MOST_NOTES:
            self._kept.append(f"kept: {what}")

    @property
    def notes(self) -> list[str]:
        """What a person is told: the first that are kept, and how many more."""
        more = self._kept_count - len(self._kept)
        return self._kept + ([f"kept: {more} more, named in the log of collect"] if more else [])


def delete_originals(place: Workplace, lease: Lease) -> Deletion:
    """Delete the microscope files whose every plane is proven to be stored.

    A file goes only when every plane that depends on it, of whichever
    experiment, is extracted, is not suspect, and was re-read just now; when
    the file, re-read as well, gives the pixels that are stored; when it is
    what it was; and when it lies in the registered folder. If a plane of an
    acquisition failed, nothing of that acquisition goes.

    Raises
    ------
    ExperimentBusyError, LedgerError
    """
    deletion = Deletion()
    with place.database.reading() as session:
        planes = sum(count_states(session, lease.experiment_id).values())
    cases = _hopeful_cases(place, lease.experiment_id, deletion)
    wanted = ((case, _planes_to_prove(case)) for case in cases)
    with Prover(place, planes) as prover:
        for case, errors in prover.prove(wanted):
            reason = next(iter(errors.values()), None) or _why_not(case)
            if reason is not None:
                deletion.keep(case.name, reason)
            elif not _record_intent(place, lease, case):
                deletion.keep(case.name, "its planes changed while they were proven")
            else:
                _delete(place, lease, case, deletion)
    return deletion


def _hopeful_cases(
    place: Workplace, experiment_id: int, deletion: Deletion
) -> Iterator[DeletionCase]:
    """Give what may be freed, as far as can be said without reading pixels."""
    seen: set[int] = set()
    for entry_id in _entries(place, experiment_id, deletion):
        if entry_id in seen:
            continue
        with place.database.reading() as session:
            case = DeletionCase.of(session, experiment_id, entry_id)
        seen.update(case.data_sets)
        for data_set in case.held:
            deletion.keep(str(data_set.entry.path), _HELD)
        if not case.doomed:
            continue
        reason = _why_not(case) or next(_unproven(case), None)
        if reason is None and not case.planes:
            reason = "no plane of it is stored"
        if reason is None:
            yield case
        else:
            deletion.keep(case.name, reason)


def _entries(place: Workplace, experiment_id: int, deletion: Deletion) -> Iterator[int]:
    with place.database.reading() as session:
        acquisitions = list(acquisition_ids(session, experiment_id))
    for acquisition_id in acquisitions:
        with place.database.reading() as session:
            unfinished = unfinished_planes(session, acquisition_id)
            files = unfinished_files(session, acquisition_id, _MOST_NOTES) if unfinished else []
            entries = list(entries_of_acquisitions(session, [acquisition_id]))
        if unfinished:
            deletion.keep(
                f"acquisition {acquisition_id}",
                f"{unfinished} planes are not extracted, so none of its {len(entries)} data sets "
                "goes; correct the cause and run again",
            )
            for path, error in files:
                deletion.keep(str(path), error or "planes of it are not extracted yet; run again")
        else:
            yield from entries


def _planes_to_prove(case: DeletionCase) -> list[PlanesToProve]:
    there = [plane for plane in case.planes if plane.state != "absent"]
    ours = [plane.id for plane in there if plane.experiment_id == case.experiment_id]
    others = [plane.id for plane in there if plane.experiment_id != case.experiment_id]
    # Of what is half done, some files may be gone. The planes of others may
    # need files that went before.
    kind: ProofKind = "stored" if case.is_half_done else "equal"
    return [PlanesToProve(ours, kind), PlanesToProve(others, "stored")]


def _unproven(case: DeletionCase) -> Iterator[str]:
    for plane in case.planes:
        name = f"plane {plane.id} of experiment {plane.experiment_id}"
        if plane.state not in ("absent", "extracted"):
            yield f"{name} is {plane.state}"
        elif plane.is_suspect:
            accept = f"imextract {plane.experiment_id} accept"
            yield f"{name} is suspect; look at it, and if it is right say so with `{accept}`"


def _why_not(case: DeletionCase) -> str | None:
    """Say why the files may not go, None if they may; the planes are another matter."""
    reason = why_unsafe(case.files)
    if reason is None and any(identity_of(p) != seen for p, seen in case.identities.items()):
        return "a file of it changed while its planes were proven"
    return reason


def _record_intent(place: Workplace, lease: Lease, case: DeletionCase) -> bool:
    """Record that the files are about to go, if all is still as it was proven."""
    with place.database.transaction() as session:
        _lock(session, lease, case)
        # Others may have registered the files meanwhile: their planes are not proven.
        if DeletionCase.of(session, case.experiment_id, next(iter(case.data_sets))) != case:
            return False
        for file in case.doomed:
            # Those that are pending from before, too, are pending as what they are now.
            move_files(session, case.rows[file.path], "present")
            seen = case.identities[file.path]
            move_files(session, case.rows[file.path], "pending_deletion", identity=seen)
    return True


def _delete(place: Workplace, lease: Lease, case: DeletionCase, deletion: Deletion) -> None:
    for file in case.doomed:
        reason = _delete_file(place, lease, case, file)
        if reason is None:
            deletion.deleted_files += 1
        else:
            deletion.keep(str(file.path), reason)
    logger.info("%s: its files are freed", case.name)


def _delete_file(
    place: Workplace, lease: Lease, case: DeletionCase, file: MicroscopeFile
) -> str | None:
    """Delete a file, or say why it is kept.

    All in one transaction: whoever has taken over, or given the file back,
    has either done so before, and then it stays, or comes too late.
    """
    rows = case.rows[file.path]
    with place.database.transaction() as session:
        _lock(session, lease, case)
        if not are_pending(session, rows, case.identities[file.path]):
            return f"{file.path}: another run keeps it"
        reason = why_unsafe([file])
        if reason is None and identity_of(file.path) != case.identities[file.path]:
            reason = f"{file.path}: it changed since it was proven"
        if reason is None:
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:
                # It stays pending: the next collect with delete tries again.
                reason = f"{file.path}: {error.strerror}"
        if reason is None:
            move_files(session, rows, "deleted")
    return reason


def _lock(session: Session, lease: Lease, case: DeletionCase) -> None:
    for experiment_id in sorted({case.experiment_id, *(p.experiment_id for p in case.planes)}):
        get_experiment(session, experiment_id, locks=True)
    require_lease(session, lease)
