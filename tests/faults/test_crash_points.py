"""A kill before every single system call that changes a file, one run for each."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.injection import run_injected, traced_calls
from tests.faults.victim import SESSION, Victim

CALLS = ("mkdir", "rename", "fsync", "fdatasync", "unlink", "unlinkat", "rmdir")


# SQLite removes its journal after every transaction: all in vain to try.
LEDGER_JOURNAL = re.compile(r"ledger\.db-(wal|shm)")


def crash_points(
    folder: Path, prepared: Sequence[str], words: Sequence[str]
) -> list[tuple[str, int]]:
    """Give each call, and its number in its thread, before which the commands may be killed."""
    victim = Victim(folder, sites=1, zplanes=1)
    assert victim.run(*prepared) == 0, victim.said
    numbers: Counter[tuple[str, str]] = Counter()
    points = set()
    for line in traced_calls(victim, words, CALLS):
        thread, said = line.split(maxsplit=1)
        call = said.partition("(")[0]
        numbers[thread, call] += 1
        if call in CALLS and LEDGER_JOURNAL.search(said) is None:
            points.add((call, numbers[thread, call]))
    return sorted(points)


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("prepared", "words"),
    [((), SESSION), (("init", "run"), ("cleanup",))],
    ids=["extraction-and-deletion", "cleanup"],
)
def test_there_is_no_call_before_which_a_kill_costs_a_plane(
    quick_folder: Path, prepared: tuple[str, ...], words: tuple[str, ...]
) -> None:
    points = crash_points(quick_folder / "counted", prepared, words)
    kills = 0
    assert {"fdatasync", "rmdir" if prepared else "rename"} <= {call for call, _ in points}
    for call, number in points:
        victim = Victim(quick_folder / f"{call}-{number}", sites=1, zplanes=1)
        assert victim.run(*prepared) == 0, victim.said
        code = run_injected(victim, words, f"{call}:signal=KILL:when={number}")
        # Of several threads none may get as far as another time.
        assert code in (-9, 0), f"{call} {number}: {victim.said}"
        kills += code == -9
        victim.check()
        victim.resume()
        victim.check_finished(originals=0)
    assert kills > 0.8 * len(points)
