"""Storage, ledger and inodes run out; after space is made a rerun completes."""

import os
from pathlib import Path

import pytest

from tests.experiments import make_experiment, settings_in
from tests.faults.disks import memory_disk, resize
from tests.faults.victim import SESSION, Victim


def fail_then_complete(victim: Victim, disk: Path, reason: str) -> None:
    """Run into the end of the disk, see that nothing is spoilt, make space, run again."""
    assert victim.run(*SESSION) == 1
    assert reason in victim.said
    victim.check()
    assert len(victim.experiment.originals()) == 12
    resize(disk, 32 * 1024)
    victim.resume()
    victim.check_finished(originals=0)


@pytest.mark.parametrize(
    ("size_kb", "inodes"), [(40, 0), (32 * 1024, 9)], ids=["no-space", "no-inodes"]
)
def test_full_storage_stops_the_job_and_spoils_nothing(
    tmp_path: Path, size_kb: int, inodes: int
) -> None:
    with memory_disk(tmp_path / "planes", size_kb, inodes) as disk:
        fail_then_complete(Victim(tmp_path), disk, "No space left on device")
        assert os.path.ismount(disk)


def test_a_full_disk_of_the_ledger_stops_the_job_and_spoils_nothing(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "small", 32 * 1024) as disk:
        settings = settings_in(tmp_path, f"sqlite:///{disk / 'ledger.db'}")
        victim = Victim(tmp_path, experiment=make_experiment(tmp_path, settings=settings))
        used_kb = sum(path.stat().st_blocks // 2 for path in disk.iterdir())
        resize(disk, used_kb + 48)
        fail_then_complete(victim, disk, "disk")
