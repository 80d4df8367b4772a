"""Kill -9 at hundreds of random instants: no plane is lost, wrong or done twice."""

from pathlib import Path

import pytest

from tests.faults.kills import Attack, attack_cleanup, attack_extraction, attack_for
from tests.faults.victim import SESSION


@pytest.mark.parametrize(
    ("kills", "attack", "words"),
    [(100, attack_extraction, SESSION), (30, attack_cleanup, ("cleanup",))],
    ids=["extraction-and-deletion", "cleanup"],
)
def test_no_kill_costs_a_plane(
    quick_folder: Path, kills: int, attack: Attack, words: tuple[str, ...]
) -> None:
    outcome = attack_for(kills, quick_folder, attack, 1, *words)
    assert outcome.kills >= kills
    assert outcome.compared > kills
