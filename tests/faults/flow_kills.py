"""Parts of a real flow run killed at random instants of its progress, until all is done."""

import random
import time
from pathlib import Path
from typing import get_args

import psutil

from tests.experiments import make_experiment
from tests.faults.kills import Outcome
from tests.faults.stage import Role, Stage, is_over, on_stage, wait_for_end, wait_for_progress
from tests.faults.victim import Victim, environment_of

_SITES, _ZPLANES = 10, 3

ROLES: tuple[Role, ...] = get_args(Role)


def attack_flow(folder: Path, seed: int, rounds: int = 1) -> Outcome:
    """Kill each part so many times, in random order, while one experiment is extracted and freed.

    Whenever no run is left every plane is compared with the truth; the last run is undisturbed
    and must complete what is missing, without doing anything twice.
    """
    victim = Victim(folder, _SITES, _ZPLANES, make_experiment(folder, _SITES, _ZPLANES))
    chance = random.Random(seed)
    roles = list(ROLES * rounds)
    chance.shuffle(roles)
    kills = 0
    with on_stage(folder, environment_of(victim.experiment.settings)) as stage:
        flow = None
        for number, role in enumerate(roles):
            flow = _underway(stage, victim, flow)
            kills += _strike(stage, victim, flow, role, chance, len(roles) - number)
        stage.start()
        if flow is not None:
            wait_for_end(flow)
        wait_for_end(_underway(stage, victim, None))
    victim.check_finished(originals=0)
    return Outcome(kills, victim.compared)


def _underway(stage: Stage, victim: Victim, flow: psutil.Process | None) -> psutil.Process:
    """Give the run that goes on; a new one, once all was looked at, where there is none."""
    stage.start()
    if flow is not None and not is_over(flow):
        return flow
    victim.check()
    return stage.run(victim)


def _strike(
    stage: Stage, victim: Victim, flow: psutil.Process, role: Role, chance: random.Random, left: int
) -> int:
    """Kill a part at a random instant of the share of the work that this kill may wait for."""
    done, whole = victim.progress
    wait_for_progress(victim, done + chance.randint(0, (whole - done) // (left + 1)), flow)
    time.sleep(chance.uniform(0, 0.2))
    return stage.kill(role, flow, chance.randrange(100))
