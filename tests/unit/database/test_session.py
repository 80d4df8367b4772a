"""The ledger's door: schema, transactions, what cannot be reached."""

import datetime as dt
import traceback
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from imextract.config import Settings
from imextract.database.models import Base, ExperimentRow
from imextract.database.session import Database
from imextract.database.types import FileName
from imextract.errors import ConfigError, LedgerError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'new folder' / 'ledger.db'}")
    database.prepare()
    return database


def experiment(name: str) -> ExperimentRow:
    return ExperimentRow(name=name, storage_key=name, created_at=dt.datetime.now(dt.UTC))


def test_migrations_make_the_schema_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []


def test_preparing_again_changes_nothing(database: Database) -> None:
    with database.transaction() as session:
        session.add(experiment("kept"))
    database.prepare()
    with database.reading() as session:
        assert session.scalars(select(ExperimentRow.name)).all() == ["kept"]


def test_sqlite_writes_ahead_and_checks_foreign_keys(database: Database) -> None:
    with database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    def add_two_of_one_name() -> None:
        with database.transaction() as session:
            session.add(experiment("lost"))
            session.flush()
            session.add(experiment("lost"))

    with pytest.raises(LedgerError, match="UNIQUE"):
        add_two_of_one_name()
    with database.reading() as session:
        assert session.scalars(select(ExperimentRow)).all() == []


def test_a_moment_keeps_its_zone(database: Database) -> None:
    moment = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with database.transaction() as session:
        session.add(ExperimentRow(name="a", storage_key="a", created_at=moment))
    with database.reading() as session:
        found = session.scalars(select(ExperimentRow.created_at)).one()
    assert found == moment
    assert found.tzinfo is dt.UTC


@pytest.mark.parametrize(
    "name", ["a", "a\\b", "\\", "\\\\", "é\udcff", "\\\udcff\\x41", "\\x41", "\udc80\udc81\\", "\n"]
)
def test_a_file_name_of_any_bytes_comes_back(database: Database, name: str) -> None:
    kind = FileName()
    kept = kind.process_bind_param(name, database.engine.dialect)
    assert kept is not None
    kept.encode()  # what every database can take
    assert kind.process_result_value(kept, database.engine.dialect) == name


def test_an_unreachable_server_is_named_without_its_password() -> None:
    database = Database("postgresql://user:secret@127.0.0.1:1/name")
    with pytest.raises(LedgerError, match="IMEXTRACT_DATABASE_URL") as caught:
        database.prepare()
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:se%63ret@127.0.0.1:1/name",
        "postgresql://user@127.0.0.1:1/name?password=secret&sslpassword=secret",
        "postgresql://user:se/cret:secret?#@127.0.0.1:1/name",
        "postgresql://user:pass@secret@127.0.0.1:1/name",
        "postgresql://user:secret@127.0.0.1:port/name",
        "postgresql://user:secret/name",
        "postgresql://user:secret@127.0.0.1:99999/name",
        "postgresql://user:secret@127.0.0.1:1/name?secret_option=x",
        "postgresql+secret://user:secret@127.0.0.1:1/name",
        "postgresql:/user:secret@127.0.0.1/name",
        "postgres://user:secret@127.0.0.1/name",
        "mysql://user:secret@127.0.0.1/name",
        "secret",
    ],
)
def test_no_error_holds_a_password_however_its_url_is_written(url: str) -> None:
    with pytest.raises((ConfigError, LedgerError)) as caught:
        Database(url).prepare()
    # As the log of a run has it, with every error that led to this one.
    told = "".join(traceback.format_exception(caught.value)).split("\n", maxsplit=1)[1]
    for secret in ("secret", "se%63ret", "se/cret"):
        assert secret not in told.replace('invalid connection option "secret_option"', ""), told


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="ledger"):
        Database(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}").prepare()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("no database at all, but long enough to look like one")
    with pytest.raises(LedgerError, match="not a database"):
        Database(f"sqlite:///{tmp_path / 'ledger.db'}").prepare()


def test_a_schema_of_a_newer_version_is_refused(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="use the version of imextract that wrote it"):
        database.prepare()


@pytest.mark.parametrize("url", ["no url", "mysql://host/name"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="IMEXTRACT_DATABASE_URL"):
        Database(url)


def test_settings_that_are_shown_keep_the_password_to_themselves() -> None:
    settings = Settings(database_url="postgresql://user:secret@host/name")
    assert "secret" not in f"{settings!r} {settings}"
