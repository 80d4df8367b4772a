"""Ids for rows that are written by the thousand, known before they are written."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from imextract.database.models import Base

__all__ = ["Ids", "insert_tuples"]


class Ids:
    """Hands out ids of new rows, so that a database need not be asked for those of each.

    SQLite: valid within the caller's transaction, which holds the write lock.
    PostgreSQL: drawn from the sequence that its rows count by.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next: dict[type[Base], int] = {}
        self._is_sqlite = session.get_bind().dialect.name == "sqlite"

    def take(self, model: type[Base], count: int = 1) -> Sequence[int]:
        """Give so many ids that no row has."""
        if not self._is_sqlite:
            return self._drawn(model, count)
        if model not in self._next:
            self._next[model] = self._last(model) + 1
        first = self._next[model]
        self._next[model] += count
        return range(first, first + count)

    def _last(self, model: type[Base]) -> int:
        used = self._session.scalar(select(func.max(model.id))) or 0
        if "sqlite_autoincrement" not in model.metadata.tables[model.__tablename__].dialect_kwargs:
            return used
        # Ids of deleted rows must not be given again: SQLite remembers them here.
        counted = self._session.scalar(
            text("SELECT seq FROM sqlite_sequence WHERE name = :table"),
            {"table": model.__tablename__},
        )
        return max(used, counted or 0)

    def _drawn(self, model: type[Base], count: int) -> Sequence[int]:
        sequence = func.pg_get_serial_sequence(model.__tablename__, "id")
        numbers = func.generate_series(1, count).table_valued("number")
        return self._session.scalars(select(func.nextval(sequence)).select_from(numbers)).all()


def insert_tuples(
    session: Session, model: type[Base], columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows of plain numbers and texts, by the driver itself.

    Millions of rows spend half their time in SQLAlchemy otherwise. No default
    and no column type of ours is applied.
    """
    if not rows:
        return
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    names = ", ".join(map(quote, columns))
    marks = ", ".join([mark] * len(columns))
    table = quote(model.__tablename__)
    # Names of our own tables and columns only; values are bound.
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
