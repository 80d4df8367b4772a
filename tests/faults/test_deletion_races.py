"""Collects and runs that come at once: originals go once, and only when all is proven."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.victim import Victim, ended


def race(victim: Victim, *commands: str) -> Counter[int]:
    """Run commands at once, each in a process of its own; give their exit codes."""
    racing = [victim.start(command) for command in commands]
    codes = Counter(ended(process) for process in racing)
    assert set(codes) <= {0, 1}
    victim.check()
    return codes


def test_of_collects_at_once_one_deletes_and_the_others_are_refused(quick_folder: Path) -> None:
    victim = Victim(quick_folder)
    assert victim.run("init --delete", "run") == 0, victim.said
    codes = race(victim, *["collect"] * 4)
    assert victim.said.count("is being worked on by") == codes[1] < 4, victim.said
    victim.check_finished(originals=0)
    assert victim.said.count("12 microscope files deleted") == 1, victim.said


@pytest.mark.parametrize("second", ["collect", "run", "cleanup", "init --restart --delete"])
def test_whatever_comes_while_a_job_works_loses_nothing(quick_folder: Path, second: str) -> None:
    victim = Victim(quick_folder)
    assert victim.run("init --delete -b 1") == 0, victim.said
    race(victim, "run", second, "collect")
    victim.resume()
    victim.check_finished(originals=0)
