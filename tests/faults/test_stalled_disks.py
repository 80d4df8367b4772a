"""Disks that answer late, or not at all: said by name, and given up at a time limit."""

from pathlib import Path

import pytest

from tests.experiments import make_experiment, name_of, settings_in
from tests.faults.injection import run_injected
from tests.faults.victim import SESSION, Victim

pytestmark = pytest.mark.usefixtures("strace")

LIMIT_S = 1.5
READS = ("read", "pread64")


def impatient(folder: Path) -> Victim:
    settings = settings_in(folder).model_copy(update={"read_timeout_s": LIMIT_S})
    return Victim(folder, experiment=make_experiment(folder, settings=settings))


def test_an_original_that_answers_late_is_waited_for_and_named(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    slow = victim.experiment.folder / name_of(1, 1, 0)
    injections = [f"{call}:delay_enter=4000000:when=1" for call in READS]
    assert run_injected(victim, SESSION, *injections, paths=[slow]) == 0, victim.said
    assert f"{slow}: no answer for " in victim.said
    victim.check_finished(originals=0)


def test_storage_that_answers_late_is_waited_for_and_named(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    assert run_injected(victim, SESSION, "rename:delay_enter=4000000:when=1") == 0, victim.said
    assert f"{victim.storage}: no answer for " in victim.said
    victim.check_finished(originals=0)


def test_an_original_that_never_answers_fails_alone_once_a_run_was_ended_for_it(
    quick_folder: Path,
) -> None:
    victim = impatient(quick_folder)
    mute = victim.experiment.folder / name_of(1, 1, 0)
    killed = [f"{call}:signal=KILL:when=1" for call in READS]
    assert run_injected(victim, SESSION, *killed, paths=[mute]) == -9
    # So long that each process is ended before.
    never = [f"{call}:delay_enter=12000000" for call in READS]
    assert run_injected(victim, SESSION, *never, paths=[mute]) == 1
    (failed,) = [record for record in victim.records() if record.state == "failed"]
    assert f"{mute}: series 0, plane 0: " in str(failed.error)
    assert f"did not finish within {2 * LIMIT_S:g} s" in str(failed.error)
    assert sum(record.state == "extracted" for record in victim.records()) == 11
    assert len(victim.experiment.originals()) == 12
    victim.resume()
    victim.check_finished(originals=0)
