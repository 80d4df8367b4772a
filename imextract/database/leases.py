"""Queries about leases: who works on an experiment just now."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from imextract.database.models import LeaseRow
from imextract.processes import ProcessId

__all__ = [
    "add_lease",
    "beat",
    "drop_lease",
    "drop_leases",
    "has_lease",
    "holder",
    "leases_in_the_way",
]


def leases_in_the_way(
    session: Session, experiment_id: int, batch_id: int | None = None
) -> Sequence[LeaseRow]:
    """Give the leases with which one on a batch, or on the whole experiment, cannot be."""
    query = select(LeaseRow).where(LeaseRow.experiment_id == experiment_id)
    if batch_id is not None:
        query = query.where((LeaseRow.batch_id == batch_id) | LeaseRow.batch_id.is_(None))
    return session.scalars(query.order_by(LeaseRow.id)).all()


def add_lease(session: Session, lease: LeaseRow) -> None:
    """Add a lease; the caller holds the lock on its experiment."""
    session.add(lease)
    session.flush()


def beat(session: Session, token: str) -> bool:
    """Show that a lease's owner lives; False if it has lost the lease."""
    changed = session.execute(
        update(LeaseRow).where(LeaseRow.token == token).values(beats=LeaseRow.beats + 1)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]  # a cursor result, as of any UPDATE


def has_lease(session: Session, token: str) -> bool:
    """Whether a lease is still its owner's, which it then stays to the transaction's end."""
    query = select(LeaseRow.id).where(LeaseRow.token == token).with_for_update(read=True)
    return session.scalar(query) is not None


def drop_lease(session: Session, token: str) -> None:
    """Give a lease back."""
    session.execute(delete(LeaseRow).where(LeaseRow.token == token))


def drop_leases(session: Session, leases: Sequence[LeaseRow]) -> None:
    """Take leases from their owners."""
    for lease in leases:
        session.delete(lease)
    session.flush()


def holder(lease: LeaseRow) -> ProcessId:
    """Give the process that holds a lease."""
    return ProcessId(lease.host, lease.machine, lease.process, lease.process_started)
