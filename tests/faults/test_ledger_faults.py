"""The ledger locked, its connections cut, its server gone and back."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from imextract.database.session import Database
from tests.experiments import make_experiment, settings_in
from tests.faults.victim import SESSION, Victim, ended
from tests.postgresql import server_binary, serving

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


def test_connections_cut_again_and_again_lose_nothing(tmp_path: Path) -> None:
    if server_binary("postgres") is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with serving() as url:
        victim = Victim(
            tmp_path, experiment=make_experiment(tmp_path, settings=settings_in(tmp_path, url))
        )
        cuts = 0
        for _ in range(10):
            process = victim.start(*SESSION)
            while process.is_alive():
                process.join(0.3)
                cuts += cut(url)
            assert ended(process) in (0, 1)
            victim.check()
        assert cuts > 0
        assert "terminating connection" in victim.said
        victim.resume()
        victim.check_finished(originals=0)


def cut(url: str) -> int:
    with Database(url).transaction() as session:
        return int(session.scalar(CUT) or 0)
