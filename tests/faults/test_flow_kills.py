"""Kill -9 of the parts of a real flow run: Dask workers, the run, its server, the session."""

from pathlib import Path

from tests.faults.flow_kills import ROLES, attack_flow


def test_no_killed_part_of_a_flow_run_costs_a_plane(quick_folder: Path) -> None:
    outcome = attack_flow(quick_folder, seed=1)
    # A run may have no other process at the instant.
    assert outcome.kills >= len(ROLES) - 1
    assert outcome.compared > outcome.kills
