"""Who was thought dead and comes late: what was proven since stays as it is."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from imextract.channel_image_file import ChannelImageFile
from imextract.errors import ExperimentBusyError
from imextract.store import FolderStore
from imextract.verify import verify_experiment
from tests.experiments import SHAPE
from tests.faults.injection import run_injected
from tests.faults.victim import Victim


def free_originals(victim: Victim) -> None:
    """Take the experiment from whoever works on it, and finish it in another preset."""
    assert victim.run("release", "init --delete --compression gzip", "run") == 0, victim.said
    assert victim.run("accept", "collect") == 0, victim.said
    assert victim.experiment.originals() == []


def assert_all_whole(victim: Victim) -> None:
    victim.check_finished(originals=0)
    place, experiment_id = victim.experiment.place, victim.experiment.experiment_id
    assert [found.error for found in verify_experiment(place, experiment_id) if found.error] == []


@pytest.mark.usefixtures("strace")
def test_a_plane_that_is_stored_late_replaces_none(quick_folder: Path) -> None:
    victim = Victim(quick_folder, sites=1, zplanes=1)
    assert victim.run("init") == 0
    codes: list[int] = []

    def run_late() -> None:
        # Stops when the first plane is written, and has no name yet.
        codes.append(run_injected(victim, ["run"], "fsync:signal=STOP:when=1"))

    late = threading.Thread(target=run_late)
    late.start()
    while not any(victim.experiment.store.incoming.glob("*")):
        time.sleep(0.01)
    (stopped,) = multiprocessing.active_children()
    free_originals(victim)
    assert codes == []
    os.kill(int(str(stopped.pid)), signal.SIGCONT)
    late.join()
    assert codes == [1]
    assert "another run has stored it meanwhile" in victim.said
    assert_all_whole(victim)


def test_pixels_that_are_put_late_replace_no_only_copy(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = Victim(quick_folder, sites=1, zplanes=1)
    victim.experiment.extract()
    settings = victim.experiment.settings
    image = next(ChannelImageFile.find(victim.experiment.experiment_id, settings))

    def check_late(store: FolderStore) -> None:
        monkeypatch.undo()
        free_originals(victim)

    monkeypatch.setattr(FolderStore, "check", check_late)
    with pytest.raises(ExperimentBusyError):
        image.put(np.zeros(SHAPE, np.uint16))
    assert_all_whole(victim)
