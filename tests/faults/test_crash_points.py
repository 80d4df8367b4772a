"""A kill before every single system call that changes a file, one run for each."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.injection import run_injected, traced_calls
from tests.faults.victim import Victim

CALLS = ("mkdir", "link", "rename", "fsync", "fdatasync", "unlink", "unlinkat", "rmdir")

# SQLite removes its journal after every transaction: all in vain to try.
LEDGER_JOURNAL = re.compile(r"ledger\.db-(wal|shm)")


class Rehearsal:
    """An experiment that is set back again and again to where a command begins.

    One thread stores planes: strace counts calls by threads.
    """

    def __init__(self, folder: Path, prepared: tuple[str, ...]) -> None:
        self.victim = Victim(folder / "stage", sites=1, zplanes=1, writers=1)
        assert self.victim.run(*prepared) == 0, self.victim.said
        self._folder = folder / "stage"
        self._kept = shutil.copytree(self._folder, folder / "kept")

    def crash_points(self, command: str) -> Iterator[tuple[str, int]]:
        """Give each call, and its number in its thread, before which a command may be killed."""
        numbers: Counter[tuple[str, str]] = Counter()
        points = set()
        for line in traced_calls(self.victim, [command], CALLS):
            thread, said = line.split(maxsplit=1)
            call = said.partition("(")[0]
            numbers[thread, call] += 1
            if call in CALLS and LEDGER_JOURNAL.search(said) is None:
                points.add((call, numbers[thread, call]))
        yield from sorted(points)

    def set_back(self) -> None:
        """Let all be as it was before the command."""
        shutil.rmtree(self._folder)
        shutil.copytree(self._kept, self._folder)
        self.victim.travel()


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("prepared", "command", "decisive"),
    [
        ((), "init --delete -b 1", "mkdir"),
        (("init --delete -b 1",), "run", "link"),
        (("init --delete -b 1", "run"), "collect", "unlink"),
        (("init", "run"), "cleanup", "rmdir"),
    ],
    ids=["init", "run", "collect", "cleanup"],
)
def test_there_is_no_call_before_which_a_kill_costs_a_plane(
    quick_folder: Path, prepared: tuple[str, ...], command: str, decisive: str
) -> None:
    rehearsal = Rehearsal(quick_folder, prepared)
    victim = rehearsal.victim
    points = list(rehearsal.crash_points(command))
    assert {"fdatasync", decisive} <= {call for call, _ in points}
    killed = 0
    for call, number in points:
        rehearsal.set_back()
        code = run_injected(victim, [command], f"{call}:signal=KILL:when={number}")
        # Threads read the ledger meanwhile: SQLite finds one time more to flush than another.
        assert code == -9 or (call == "fdatasync" and code == 0), f"{call} {number}: {victim.said}"
        killed += code == -9
        victim.check()
        victim.resume()
        victim.check_finished(originals=0)
    assert killed > 0.9 * len(points)
