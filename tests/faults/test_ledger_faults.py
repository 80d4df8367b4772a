"""The ledger locked, its connections cut, its server gone and back."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from imextract.database.session import Database
from tests.experiments import make_experiment, settings_in
from tests.faults.victim import SESSION, Victim, ended
from tests.postgresql import PostgreSql, running, server_binary

CUT = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def test_a_ledger_locked_by_another_program_is_waited_for(quick_folder: Path) -> None:
    victim = Victim(quick_folder)
    lock = sqlite3.connect(quick_folder / "ledger.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    process = victim.start(*SESSION)
    process.join(3)
    assert process.exitcode is None, victim.said
    lock.execute("ROLLBACK")
    lock.close()
    assert ended(process) == 0, victim.said
    victim.check_finished(originals=0)


@pytest.fixture
def server() -> Iterator[PostgreSql]:
    if server_binary("postgres") is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with running() as server:
        yield server


def victim_of(server: PostgreSql, folder: Path) -> Victim:
    settings = settings_in(folder, server.url)
    return Victim(folder, experiment=make_experiment(folder, settings=settings))


def test_a_server_that_goes_and_comes_back_loses_nothing(
    server: PostgreSql, tmp_path: Path
) -> None:
    victim = victim_of(server, tmp_path)
    chance = random.Random(1)
    codes = set()
    for _ in range(6):
        process = victim.start(*SESSION)
        process.join(chance.uniform(0.3, 1.5))
        server.stop()
        codes.add(ended(process))
        server.start()
        victim.check()
    assert 1 in codes <= {0, 1}
    assert f"database {server.url.replace('postgresql:', 'postgresql+psycopg:')}: " in victim.said
    victim.resume()
    victim.check_finished(originals=0)


def test_connections_cut_again_and_again_lose_nothing(server: PostgreSql, tmp_path: Path) -> None:
    victim = victim_of(server, tmp_path)
    cuts = 0
    for _ in range(10):
        process = victim.start(*SESSION)
        while process.is_alive():
            process.join(0.1)
            cuts += cut(server.url)
        assert ended(process) in (0, 1)
        victim.check()
    assert cuts > 0
    assert "terminating connection" in victim.said
    victim.resume()
    victim.check_finished(originals=0)


def cut(url: str) -> int:
    with Database(url).transaction() as session:
        return int(session.scalar(CUT) or 0)
