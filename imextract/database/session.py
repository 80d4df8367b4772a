"""The door to the database: engine, transactions, migrations."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from imextract.errors import ConfigError, LedgerError

__all__ = ["Database"]

# Longest wait for another writer of SQLite, and for PostgreSQL to answer.
_BUSY_S = 60
_CONNECT_S = 10

# Others may hold secrets: password, sslpassword, and what is yet to come.
_SHOWN_OPTIONS = frozenset({"host", "port", "mode", "uri"})

# Any number will do, as long as all migrations lock the same one.
_MIGRATION_LOCK = 0x696D6578


class Database:
    """One database, its schema up to date, opened lazily.

    Parameters
    ----------
    url
        SQLAlchemy URL of SQLite or PostgreSQL.

    Raises
    ------
    ConfigError
        If the URL is not one.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.engine = _engine(self._url)

    @property
    def name(self) -> str:
        """The URL, without its password, and of its options only those that tell where it is."""
        options = {key: value for key, value in self._url.query.items() if key in _SHOWN_OPTIONS}
        return self._url.set(query=options).render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        if self._url.get_backend_name() != "sqlite":
            return None
        return Path(str(self._url.database)).absolute()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session that commits when the block ends well, else rolls back.

        Raises
        ------
        LedgerError
            If the database cannot be reached or used.
        """
        with self._translated(), Session(self.engine) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that only reads, and holds up no writer meanwhile.

        Raises
        ------
        LedgerError
            If the database cannot be reached or used.
        """
        engine = self.engine.execution_options(sqlite_begin="DEFERRED")
        with self._translated(), Session(engine) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def rehearsing(self) -> Iterator[Session]:
        """Give a session that finds the database as it is, and of which nothing is kept.

        No database is made where there is none, and no schema is changed. SQLite
        has but one writer at a time, so that a copy is written to.

        Raises
        ------
        LedgerError
            If the database cannot be reached or used.
        """
        with self._translated(), self._stage() as engine, engine.connect() as connection:
            with connection.begin() as transaction:
                if _revision(connection) != _newest_revision():
                    self._upgrade(connection)
                with Session(connection) as session:
                    yield session
                transaction.rollback()

    @contextlib.contextmanager
    def _stage(self) -> Iterator[Engine]:
        """Give what a rehearsal may write to without holding up others."""
        if self.file is None:
            yield self.engine
            return
        with tempfile.TemporaryDirectory(prefix="imextract-rehearsal-") as folder:
            file = Path(folder, "ledger.db")
            if self.file.exists():
                self._copy(file)
            yield _engine(self._url.set(database=str(file)))

    def _copy(self, file: Path) -> None:
        try:
            with self.engine.connect() as source, sqlite3.connect(file) as copy:
                source.connection.driver_connection.backup(copy)  # type: ignore[union-attr]  # sqlite3's
            copy.close()
        except sqlite3.Error as error:
            raise LedgerError(
                f"database {self.name}: cannot be copied to {file.parent} ({error}); free space "
                "there, or let TMPDIR name another folder"
            ) from error

    def prepare(self, *, creates: bool = True) -> None:
        """Create the schema, or bring it up to date; waits for others doing so.

        Parameters
        ----------
        creates
            Make the file of a SQLite database, and its folder, where there is
            none; else it is an error.

        Raises
        ------
        LedgerError
            If the database cannot be reached, or a newer imextract wrote it.
        """
        with self._translated():
            self._find_file(creates)
            with self.engine.connect() as connection:
                self._migrate(connection)

    def _find_file(self, creates: bool) -> None:
        file = self.file
        if file is None:
            return
        if creates:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            # Not made silently: a mistyped path, or a disk that is not
            # mounted, would look like a ledger that has forgotten everything.
            raise LedgerError(
                f"database {self.name}: there is no such file; correct IMEXTRACT_DATABASE_URL, "
                "mount its disk, or begin by registering a folder"
            )

    def _migrate(self, connection: Connection) -> None:
        if _revision(connection) == _newest_revision():
            return
        connection.rollback()
        with connection.begin():
            self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        # Alembic takes longer to load than most commands last, and is needed once.
        from imextract.database.migration import upgrade

        _lock_for_migration(connection)
        upgrade(connection, self.name)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise LedgerError(
                f"database {self.name}: {_first_line(error.orig)}; check IMEXTRACT_DATABASE_URL "
                "and that the database is up and may be written"
            ) from error
        except SQLAlchemyError as error:
            raise LedgerError(f"database {self.name}: {_first_line(error)}") from error
        except OSError as error:
            if isinstance(error, LedgerError) or self.file is None:
                raise
            if error.filename is None:
                raise
            raise LedgerError(
                f"database {self.name}: {error.strerror}: {error.filename}; "
                "check IMEXTRACT_DATABASE_URL"
            ) from error


def _parse(text_url: str) -> URL:
    try:
        url = make_url(text_url)
    except (ArgumentError, ValueError):
        # Not chained: the cause quotes what may be a password that stands for a port.
        raise ConfigError(
            "IMEXTRACT_DATABASE_URL is no database URL; expected sqlite:////path/to/file.db or "
            "postgresql://user:password@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(
            f"IMEXTRACT_DATABASE_URL: databases of kind {backend!r} are not supported; "
            "use sqlite:// or postgresql://"
        )
    if "@" in (url.host or ""):
        # The end of the password was taken for the host, and would be told as such.
        raise ConfigError(
            "IMEXTRACT_DATABASE_URL has several @ before the name of the database; expected one, "
            "before the host: write @ in the user's name or password as %40"
        )
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.database in (None, "", ":memory:"):
        raise ConfigError(
            "IMEXTRACT_DATABASE_URL: a ledger in memory would be forgotten; "
            "give a file, as in sqlite:////path/to/file.db"
        )
    return url


def _engine(url: URL) -> Engine:
    # No pool: transactions are few and long apart, and a connection kept open
    # would outlive a fork, a restart of the server, or the file itself.
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_S})
    except (NoSuchModuleError, ArgumentError) as error:
        raise ConfigError(f"IMEXTRACT_DATABASE_URL: {error}") from error


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # sqlite3's own transaction handling would begin too late (see _begin_sqlite).
    connection.isolation_level = None
    # A setting that lasts, but changing it needs the file for oneself.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    # Taking the write lock at once makes writers wait for each other; taking
    # it later fails at once, whatever the time-out, if another one was faster.
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _newest_revision() -> str:
    """Give the number that the file of the last migration begins with."""
    versions = Path(__file__).parent / "migrations" / "versions"
    return max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))


def _lock_for_migration(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
