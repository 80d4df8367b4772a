"""Processes killed at random instants, until what they do is done."""

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.victim import SESSION, Victim


def kill_until_done(victim: Victim, chance: random.Random, span_s: float, *words: str) -> int:
    """Run commands again and again, each run killed within a time, and give how many were.

    After each kill every plane is compared with the truth.
    """
    kills = 0
    while True:
        process = victim.start(*words)
        process.join(chance.uniform(0, span_s))
        if process.exitcode is None:
            process.kill()
        process.join()
        victim.check()
        if process.exitcode == 0:
            return kills
        assert process.exitcode == -9, victim.said
        kills += 1
        # What begins anew after each kill would never be done in too short a time.
        span_s *= 1.05


def duration_s(victim: Victim, *words: str) -> float:
    """Give how long commands take when nobody disturbs them."""
    victim.run("planes")  # the first process of all waits for what is loaded once
    start = time.monotonic()
    assert victim.run(*words) == 0, victim.said
    return time.monotonic() - start


def attack_extraction(victim: Victim, chance: random.Random, span_s: float) -> int:
    """Kill extraction and deletion until all originals are freed; give the kills."""
    kills = kill_until_done(victim, chance, span_s, *SESSION)
    victim.check_finished(originals=0)
    return kills


def attack_cleanup(victim: Victim, chance: random.Random, span_s: float) -> int:
    """Extract all and kill its cleanup, three times over; at last all must be extracted again."""
    kills = 0
    for _ in range(3):
        victim.resume(delete=False)
        kills += kill_until_done(victim, chance, span_s, "cleanup")
    victim.resume()
    victim.check_finished(originals=0)
    return kills


Attack = Callable[[Victim, random.Random, float], int]


@dataclass(frozen=True)
class Outcome:
    """How many processes were killed, and how many planes compared with the truth."""

    kills: int
    compared: int


def attack_for(kills: int, folder: Path, attack: Attack, seed: int, *words: str) -> Outcome:
    """Repeat an attack on new experiments until that many processes were killed.

    Each is killed within the time that these commands take undisturbed.
    """
    span_s = duration_s(Victim(folder / "undisturbed", zplanes=1), *words)
    chance = random.Random(seed)
    killed = compared = 0
    while killed < kills:
        place = folder / f"after-{killed}"
        victim = Victim(place, zplanes=1)
        killed += attack(victim, chance, span_s)
        compared += victim.compared
        shutil.rmtree(place)
    return Outcome(killed, compared)
