"""The disk as it is at some instant, power cut: only what was flushed is there.

The image of a mounted disk is copied while a process works on it, and the copy
mounted: what the system had only in memory is lost, as by a power cut.
"""

import filecmp
import os
import random
import shutil
import signal
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.faults.disks import image_disk, make_image
from tests.faults.victim import SESSION, Victim, ended

CUTS = 12


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The image of a disk, to be mounted at the folder `disk` beside it."""
    return make_image(tmp_path / "disk.img")


def victim_on(disk: Path) -> Victim:
    """Make an experiment of which storage, ledger and originals are on the disk."""
    victim = Victim(disk, zplanes=1)
    victim.log = disk.parent / "said.txt"
    # The originals were there long before.
    os.sync()
    return victim


def test_what_was_reported_done_survives_a_power_cut(tmp_path: Path, image: Path) -> None:
    with image_disk(image, tmp_path / "disk") as disk:
        victim = victim_on(disk)
        assert victim.run("init", "run") == 0, victim.said
        cut = snapshot(image, tmp_path / "cut.img")
    with image_disk(cut, disk):
        victim.check()
        assert {record.state for record in victim.records()} == {"extracted"}


def test_no_plane_is_lost_by_a_power_cut_at_any_time(tmp_path: Path, image: Path) -> None:
    with image_disk(image, tmp_path / "disk") as disk:
        victim = victim_on(disk)
        cuts = cuts_during(victim.start(*SESSION), image)
        victim.check_finished(originals=0)
    assert len(cuts) >= CUTS // 4
    for cut in cuts:
        with image_disk(cut, disk):
            victim.travel()
            victim.check()
            victim.resume()
            victim.check_finished(originals=0)


def cuts_during(process: ForkServerProcess, image: Path) -> list[Path]:
    """Cut power at random times until a process ends; give the images of the disk."""
    chance = random.Random(1)
    cuts: list[Path] = []
    while len(cuts) < CUTS:
        process.join(chance.uniform(0, 0.1))
        if process.exitcode is not None or process.pid is None:
            break
        # It may have ended by now: then the disk is as it left it.
        with suppress(ProcessLookupError):
            # Stopped, because a copy is no instant.
            os.kill(process.pid, signal.SIGSTOP)
            cuts.append(snapshot(image, image.with_name(f"cut{len(cuts)}.img")))
            os.kill(process.pid, signal.SIGCONT)
    assert ended(process) == 0
    return cuts


def snapshot(image: Path, copy: Path) -> Path:
    """Copy the image of a mounted disk that nobody writes to, once it rests."""
    while True:
        shutil.copyfile(image, copy)
        if filecmp.cmp(image, copy, shallow=False):
            return copy
