"""A clock that jumps by years, there and back: nothing is decided by it."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imextract.lease import hold_lease
from tests.faults.victim import SESSION, Victim, environment_of

YEARS = ("+3650d", "-3650d", "+0d")

CODE = """
import sys
from imextract.cli.main import main
for command in sys.argv[1:]:
    if code := main(command.split()):
        sys.exit(code)
"""


class Clock:
    """The time of day that processes see; files are dated by the true one."""

    def __init__(self, folder: Path) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            pytest.skip("no faketime here: apt-get install faketime")
        self._file = folder / "clock.txt"
        self._environment = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, to: str) -> None:
        """Set it, relative to the true time, for all who look at it."""
        new = self._file.with_suffix(".new")
        new.write_text(to)
        new.replace(self._file)

    def start(self, victim: Victim, *words: str) -> subprocess.Popen[str]:
        """Run commands that live by this clock."""
        commands = [" ".join(command) for command in victim.commands(*words)]
        return subprocess.Popen(
            [sys.executable, "-c", CODE, *commands],
            env=os.environ | environment_of(victim.experiment.settings) | self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, victim: Victim, *words: str) -> tuple[int, str]:
        """Run commands, and give the exit code and what they said."""
        process = self.start(victim, *words)
        said = process.communicate(timeout=400)[0]
        return process.returncode, said


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def test_a_clock_that_jumps_all_the_time_loses_nothing(quick_folder: Path, clock: Clock) -> None:
    victim = Victim(quick_folder)
    chance = random.Random(1)
    clock.jump("+0d")
    process = clock.start(victim, *SESSION)
    while process.poll() is None:
        clock.jump(chance.choice(YEARS))
        time.sleep(0.05)
    assert process.returncode == 0, process.communicate()[0]
    process.communicate()
    victim.check_finished(originals=0)


@pytest.mark.parametrize("jump", YEARS)
def test_a_run_that_lives_is_not_taken_over_whatever_the_time(
    quick_folder: Path, clock: Clock, jump: str
) -> None:
    victim = Victim(quick_folder, sites=1)
    clock.jump(jump)
    with hold_lease(victim.experiment.database, victim.experiment.experiment_id, "the first"):
        code, said = clock.run(victim, "init")
    assert code == 1
    assert "is being worked on by the first" in said


@pytest.mark.parametrize("jump", YEARS)
def test_what_others_are_writing_is_tidied_away_by_its_age_alone(
    quick_folder: Path, clock: Clock, jump: str
) -> None:
    victim = Victim(quick_folder, sites=1)
    assert victim.run("init", "run") == 0, victim.said
    incoming = victim.storage / ".incoming"
    young, old = (incoming / f"elsewhere-1-{16 * letter}" for letter in "ab")
    young.touch()
    old.touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    clock.jump(jump)
    assert clock.run(victim, "collect")[0] == 0
    assert list(incoming.iterdir()) == [young]
