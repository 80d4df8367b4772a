"""Kill -9 at hundreds of random instants: no plane is lost, wrong or done twice."""

from pathlib import Path

import pytest

from tests.faults.kills import Attack, attack_cleanup, attack_extraction, attack_for, duration_s
from tests.faults.victim import SESSION, Victim


@pytest.mark.parametrize(
    ("kills", "attack", "words"),
    [(100, attack_extraction, SESSION), (30, attack_cleanup, ("cleanup",))],
    ids=["extraction-and-deletion", "cleanup"],
)
def test_no_kill_costs_a_plane(
    quick_folder: Path, kills: int, attack: Attack, words: tuple[str, ...]
) -> None:
    span_s = duration_s(Victim(quick_folder / "undisturbed", zplanes=1), *words)
    assert attack_for(kills, quick_folder, attack, seed=1, span_s=span_s) > kills
