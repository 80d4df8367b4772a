"""A kill before every single system call that changes a file, one run for each."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.injection import run_injected, traced_calls
from tests.faults.victim import SESSION, Victim

CALLS = ("mkdir", "rename", "fsync", "fdatasync", "unlink", "unlinkat", "rmdir")


# SQLite removes its journal after every transaction: all in vain to try.
LEDGER_JOURNAL = re.compile(r"ledger\.db-(wal|shm)")


def crash_points(
    folder: Path, prepared: Sequence[str], words: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Give each call, and its number, before which the commands may be killed."""
    victim = Victim(folder, sites=1, zplanes=1)
    assert victim.run(*prepared) == 0, victim.said
    numbers: Counter[str] = Counter()
    for line in traced_calls(victim, words, CALLS):
        call = line.partition("(")[0]
        numbers[call] += 1
        if call in CALLS and LEDGER_JOURNAL.search(line) is None:
            yield call, numbers[call]


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("prepared", "words"),
    [((), SESSION), (("init", "run"), ("cleanup",))],
    ids=["extraction-and-deletion", "cleanup"],
)
def test_there_is_no_call_before_which_a_kill_costs_a_plane(
    quick_folder: Path, prepared: tuple[str, ...], words: tuple[str, ...]
) -> None:
    points = list(crash_points(quick_folder / "counted", prepared, words))
    assert {"fdatasync", "rmdir" if prepared else "rename"} <= {call for call, _ in points}
    for call, number in points:
        victim = Victim(quick_folder / f"{call}-{number}", sites=1, zplanes=1)
        assert victim.run(*prepared) == 0, victim.said
        code = run_injected(victim, words, f"{call}:signal=KILL:when={number}")
        assert code == -9, f"{call} {number}: {victim.said}"
        victim.check()
        victim.resume()
        victim.check_finished(originals=0)
