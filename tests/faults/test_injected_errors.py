"""Reads, writes and flushes that fail, one by one."""

from pathlib import Path

import pytest

from tests.experiments import name_of
from tests.faults.injection import run_injected
from tests.faults.victim import SESSION, Victim

pytestmark = pytest.mark.usefixtures("strace")


@pytest.mark.parametrize("first", [1, 2, 3])
def test_an_original_that_cannot_be_read_costs_its_own_plane_only(
    quick_folder: Path, first: int
) -> None:
    victim = Victim(quick_folder)
    bad = victim.experiment.folder / name_of(1, 1, 0)
    injections = [f"{call}:error=EIO:when={first}+" for call in ("read", "pread64")]
    code = run_injected(victim, SESSION, *injections, paths=[bad])
    assert code == 1
    victim.check()
    (failed,) = [record for record in victim.records() if record.state == "failed"]
    assert failed.sources[0].source_file == bad
    assert f"{bad}" in str(failed.error)
    assert "Input/output error" in str(failed.error)
    assert len(victim.experiment.originals()) == 12
    victim.resume()
    victim.check_finished(originals=0)


@pytest.mark.parametrize("number", range(1, 7))
def test_what_could_not_be_flushed_is_not_believed(quick_folder: Path, number: int) -> None:
    victim = Victim(quick_folder, sites=1)
    assert victim.run("init") == 0
    code = run_injected(victim, ["run"], f"fsync:error=EIO:when={number}")
    assert code == 1, victim.said
    assert "Input/output error" in victim.said
    victim.check()
    stored = victim.experiment.stored_files()
    extracted = [record for record in victim.records() if record.state == "extracted"]
    assert len(stored) == len(extracted) < 4
    victim.resume()
    victim.check_finished(originals=0)


@pytest.mark.parametrize("number", range(1, 12, 2))
def test_a_ledger_that_could_not_be_flushed_loses_nothing(quick_folder: Path, number: int) -> None:
    victim = Victim(quick_folder, sites=1)
    assert victim.run("init --delete") == 0
    code = run_injected(victim, ["run", "collect"], f"fdatasync:error=EIO:when={number}")
    # SQLite may go on where it need not be sure, as in tidying its journal.
    assert code in (0, 1)
    victim.check()
    victim.resume()
    victim.check_finished(originals=0)


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_disk_without_space_leaves_no_part_of_a_file(quick_folder: Path, call: str) -> None:
    victim = Victim(quick_folder, sites=1)
    assert victim.run("init") == 0
    incoming = victim.storage / ".incoming"
    # As network disks do, which have no space only when it comes to it.
    code = run_injected(victim, ["run"], f"{call}:error=ENOSPC:when=1")
    assert code == 1
    assert "No space left on device" in victim.said
    victim.check()
    assert list(incoming.iterdir()) == []
    victim.resume()
    victim.check_finished(originals=0)
