"""Column types of the ledger."""

import datetime as dt

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator

__all__ = ["FileName", "Id", "UtcTime", "escape_name"]

# SQLite counts up only INTEGER keys; ten million planes want 64 bits elsewhere.
Id = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[dt.datetime]):
    """A moment, aware of its time zone; SQLite by itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Turn to UTC."""
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """Give UTC back."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=dt.UTC)


class FileName(TypeDecorator[str]):
    r"""A file name of any bytes, kept as text that every database takes.

    File names are bytes; Python carries those that are no UTF-8 as lone
    surrogates, which no database stores. Here they are written ``\xNN``, and
    a backslash of the name itself is doubled.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape."""
        return None if value is None else escape_name(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Give the name back."""
        if value is None or "\\" not in value:
            return value
        pieces = value.split("\\\\")
        return "\\".join(_unescape(piece) for piece in pieces)


def escape_name(name: str) -> str:
    """Give the name of a file as the database has it."""
    escaped = name.replace("\\", "\\\\")
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unescape(piece: str) -> str:
    first, *rest = piece.split("\\x")
    raw = first.encode()
    for escape in rest:
        raw += bytes.fromhex(escape[:2]) + escape[2:].encode()
    return raw.decode("utf-8", "surrogateescape")
