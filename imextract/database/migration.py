"""Bringing a database's schema up to date, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from imextract.errors import LedgerError

__all__ = ["upgrade"]


def upgrade(connection: Connection, name: str) -> None:
    """Apply the migrations that the database lacks, in the caller's transaction.

    Raises
    ------
    LedgerError
        If a newer imextract wrote the database; `name` says which it is.
    """
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    # The option is interpolated: a per cent sign in a path must not be.
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerError(
            f"database {name}: its schema is not known to this imextract ({error}); "
            "use the version of imextract that wrote it, or a newer one"
        ) from error
