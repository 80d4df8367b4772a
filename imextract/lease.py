"""Leases: one run of an experiment at a time.

Whoever changes what is stored of an experiment holds its lease. A lease is on
the whole experiment, or on one batch, so that jobs of one init may run beside
each other. It is a row of the ledger. Its owner shows that it lives by a
counter, and is believed dead when its process is seen to be over, or when the
counter stands still for a while: never by the time on a clock, which jumps.
Every transaction of the owner makes sure that the lease is still its own.
"""

import contextlib
import datetime as dt
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from imextract.database import leases
from imextract.database.experiments import get_experiment
from imextract.database.models import LeaseRow
from imextract.database.session import Database
from imextract.errors import ExperimentBusyError, LedgerError
from imextract.processes import has_ended, is_here, this_process

__all__ = ["Lease", "hold_lease", "keep_lease", "release_leases", "require_lease", "take_lease"]

logger = logging.getLogger(__name__)

_BEAT_S = 5.0
# Looks, a beat apart, at a counter that stands still. Each look needs the write
# lock of SQLite, so that a ledger which nobody can write kills nobody.
_MOST_LOOKS = 12


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change what is stored of an experiment; it travels to workers."""

    experiment_id: int
    token: str


@contextlib.contextmanager
def hold_lease(
    database: Database, experiment_id: int, purpose: str, batch_id: int | None = None
) -> Iterator[Lease]:
    """Take a lease for the length of a block.

    Parameters
    ----------
    purpose
        What for, to be told to those who are refused.
    batch_id
        A lease on this batch only; None for the whole experiment.

    Raises
    ------
    ExperimentBusyError
        If somebody else holds one.
    UnknownExperimentError, LedgerError
    """
    with keep_lease(database, take_lease(database, experiment_id, purpose, batch_id)) as lease:
        yield lease


def take_lease(
    database: Database, experiment_id: int, purpose: str, batch_id: int | None = None
) -> Lease:
    """Take a lease, which `keep_lease` then has to keep.

    Takes over what a process that is over left behind: at once if it ran on
    this machine, else after a minute without a sign of life.

    Raises
    ------
    ExperimentBusyError
        If somebody else holds one.
    UnknownExperimentError, LedgerError
    """
    watch = _Watch()
    while True:
        with database.transaction() as session:
            get_experiment(session, experiment_id, locks=True)
            others = leases.leases_in_the_way(session, experiment_id, batch_id)
            dead = [other for other in others if watch.finds_dead(other)]
            for other in dead:
                logger.warning(
                    "experiment %d: %s has ended, unfinished", experiment_id, _who(other)
                )
            leases.drop_leases(session, dead)
            if len(dead) == len(others):
                return _add(session, experiment_id, purpose, batch_id)
        time.sleep(_BEAT_S)


@contextlib.contextmanager
def keep_lease(database: Database, lease: Lease) -> Iterator[Lease]:
    """Show for the length of a block that the lease's owner lives; give it back at its end."""
    is_over = threading.Event()
    heart = threading.Thread(target=_beat_until, args=(database, lease, is_over), daemon=True)
    heart.start()
    try:
        yield lease
    finally:
        is_over.set()
        heart.join()
        try:
            with database.transaction() as session:
                leases.drop_lease(session, lease.token)
        except LedgerError as error:
            # It is taken over when this process ends.
            logger.warning("experiment %d: not given back: %s", lease.experiment_id, error)


def require_lease(session: Session, lease: Lease) -> None:
    """Make sure that a lease is still its owner's, to the end of the transaction.

    A transaction that locks the experiment, too, does that first.

    Raises
    ------
    ExperimentBusyError
        If another run has taken over.
    """
    if not leases.has_lease(session, lease.token):
        raise ExperimentBusyError(
            f"experiment {lease.experiment_id}: another run took over, because this one gave no "
            "sign of life or its lease was released; nothing more is changed by this one. See "
            "`imextract list`, and run again"
        )


def release_leases(database: Database, experiment_id: int) -> list[str]:
    """Take all leases from their owners, who can then change nothing more.

    Returns
    -------
    list of str
        Who they were.

    Raises
    ------
    UnknownExperimentError, LedgerError
    """
    with database.transaction() as session:
        get_experiment(session, experiment_id, locks=True)
        found = leases.leases_in_the_way(session, experiment_id)
        names = [_who(lease) for lease in found]
        leases.drop_leases(session, found)
    return names


class _Watch:
    """Watches the owners of leases for signs of life."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def finds_dead(self, lease: LeaseRow) -> bool:
        """Say whether the owner is over; False if it must be looked at again.

        Raises
        ------
        ExperimentBusyError
            If it lives.
        """
        owner = leases.holder(lease)
        if has_ended(owner):
            return True
        beats, looks = self._seen.get(lease.token, (lease.beats, 0))
        if is_here(owner) or beats != lease.beats:
            raise ExperimentBusyError(
                f"experiment {lease.experiment_id} is being worked on by {_who(lease)}; wait for "
                "its end, or end it. If it hangs: "
                f"`imextract {lease.experiment_id} release`, and run again"
            )
        if looks == 0:
            logger.warning("waiting for a sign of life of %s", _who(lease))
        self._seen[lease.token] = beats, looks + 1
        return looks >= _MOST_LOOKS


def _add(session: Session, experiment_id: int, purpose: str, batch_id: int | None) -> Lease:
    owner = asdict(this_process())
    row = LeaseRow(
        experiment_id=experiment_id,
        batch_id=batch_id,
        token=secrets.token_hex(16),
        purpose=purpose,
        process_started=owner.pop("started"),
        taken_at=dt.datetime.now(dt.UTC),
        **owner,
    )
    leases.add_lease(session, row)
    return Lease(experiment_id, row.token)


def _beat_until(database: Database, lease: Lease, is_over: threading.Event) -> None:
    while not is_over.wait(_BEAT_S):
        try:
            with database.transaction() as session:
                if not leases.beat(session, lease.token):
                    logger.error("experiment %d: another run took over", lease.experiment_id)
                    return
        except LedgerError as error:
            # Nobody can take over meanwhile either: that needs the ledger, too.
            logger.warning("experiment %d: no sign of life: %s", lease.experiment_id, error)


def _who(lease: LeaseRow) -> str:
    since = lease.taken_at.isoformat(timespec="seconds")
    return f"{lease.purpose} (process {lease.process} on {lease.host}, since {since})"
