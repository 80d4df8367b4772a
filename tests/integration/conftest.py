"""Servers for the whole session: Prefect, PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from imextract.config import Settings
from imextract.database.session import Database
from tests import postgresql
from tests.deployed import Deployed
from tests.experiments import settings_in
from tests.prefect_server import serving


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Our deployments on a real Prefect server, with a process worker."""
    folder = tmp_path_factory.mktemp("deployed")
    environment = {
        "IMEXTRACT_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMEXTRACT_STORAGE_URL": str(folder / "planes"),
    }
    with serving(folder, environment) as prefect:
        yield Deployed(Settings.from_environment(environment), folder, prefect)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    if postgresql.server_binary("postgres") is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgresql.serving() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str, tmp_path: Path) -> str:
    """An empty database of the test's own."""
    name = f"test_{abs(hash(tmp_path))}"
    server = Database(postgresql_server)
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return postgresql_server.rpartition("/")[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings of a ledger and a storage of the test's own, on either database."""
    is_sqlite = request.param == "sqlite"
    return settings_in(tmp_path, None if is_sqlite else request.getfixturevalue("postgresql_url"))
