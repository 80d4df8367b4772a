"""Disks that answer late, or not at all: said by name, and given up at a time limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments import make_experiment, name_of, settings_in
from tests.faults.injection import run_injected
from tests.faults.victim import SESSION, Victim, environment_of

pytestmark = pytest.mark.usefixtures("strace")

LIMIT_S = 1.5
READS = ("read", "pread64")
# So long that whoever waits is ended, or gives up, before.
NEVER = [f"{call}:delay_enter=6000000" for call in READS]


def impatient(folder: Path) -> Victim:
    settings = settings_in(folder).model_copy(update={"read_timeout_s": LIMIT_S})
    return Victim(folder, experiment=make_experiment(folder, settings=settings))


def test_an_original_that_answers_late_is_waited_for_and_named(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    slow = victim.experiment.folder / name_of(1, 1, 0)
    injections = [f"{call}:delay_enter=2000000:when=1" for call in READS]
    assert run_injected(victim, SESSION, *injections, paths=[slow]) == 0, victim.said
    assert f"{slow}: no answer for " in victim.said
    victim.check_finished(originals=0)


def test_storage_that_answers_late_is_waited_for_and_named(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    assert run_injected(victim, SESSION, "link:delay_enter=2000000:when=1") == 0, victim.said
    assert f"{victim.storage}: no answer for " in victim.said
    victim.check_finished(originals=0)


def test_an_original_that_never_answers_fails_alone_within_the_same_run(
    quick_folder: Path,
) -> None:
    victim = impatient(quick_folder)
    mute = victim.experiment.folder / name_of(1, 1, 0)
    assert run_injected(victim, SESSION, *NEVER, paths=[mute]) == 1
    (failed,) = [record for record in victim.records() if record.state == "failed"]
    assert f"{mute}: series 0, plane 0: " in str(failed.error)
    assert f"did not finish within {2 * LIMIT_S:g} s" in str(failed.error)
    assert sum(record.state == "extracted" for record in victim.records()) == 11
    assert len(victim.experiment.originals()) == 12
    victim.resume()
    victim.check_finished(originals=0)


def test_storage_that_never_answers_stops_the_job_and_blames_no_plane(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    assert run_injected(victim, SESSION, "link:delay_enter=6000000:when=1") == 1
    assert "bring the storage back and run again" in victim.said
    assert {record.state for record in victim.records()} <= {"planned", "extracted"}
    victim.resume()
    victim.check_finished(originals=0)


def test_an_original_that_never_answers_at_its_proof_is_kept_and_named(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    assert victim.run("init --delete -b 1", "run") == 0
    mute = victim.experiment.folder / name_of(1, 1, 0)
    assert run_injected(victim, ("collect",), *NEVER, paths=[mute]) == 0
    assert f"kept: {mute}: series 0, plane 0: the process that proved it did not" in victim.said
    assert victim.experiment.originals() == [mute]
    victim.resume()
    victim.check_finished(originals=0)


def test_verify_ends_though_a_stored_plane_never_answers(quick_folder: Path) -> None:
    victim = impatient(quick_folder)
    assert victim.run("init", "run") == 0
    mute = victim.experiment.stored_files()[3]
    mute.unlink()
    # Who opens it waits for one that writes.
    os.mkfifo(mute)
    number = str(victim.experiment.experiment_id)
    done = subprocess.run(
        [sys.executable, "-m", "imextract.cli.main", number, "verify"],
        env=os.environ | environment_of(victim.experiment.settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"{mute}: the process that proved it did not finish" in done.stdout + done.stderr
