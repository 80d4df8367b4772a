"""Kill -9 of registering at random instants: the ledger has all of a folder, or nothing."""

import random
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np

from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.experiments import list_experiments
from imextract.simulation import (
    PlaneKey,
    PlateLayout,
    SimulatedPlate,
    expected_plane,
    read_stamp,
    simulate,
)
from tests.experiments import SmallExperiment, settings_in
from tests.faults.victim import ended, environment_of, start_work

LAYOUT = PlateLayout(wells=4, sites=3, channels=2, zplanes=2, height=40, width=60)
KILLS = 24


class Registration:
    """A plate, and a ledger that shall have it."""

    def __init__(self, folder: Path) -> None:
        self.plate: SimulatedPlate = simulate(folder / "plate", "cellvoyager", LAYOUT)
        self.settings: Settings = settings_in(folder)
        self.log = folder / "said.txt"

    def start(self) -> ForkServerProcess:
        command = ["register", str(self.plate.folder), "--name", "plate", "--check", "0"]
        return start_work([command], environment_of(self.settings), self.log)

    def run(self) -> float:
        """Register the folder and give how long it took, in s."""
        begun = time.monotonic()
        assert ended(self.start()) == 0, self.log.read_text()
        return time.monotonic() - begun

    @property
    def ledger(self) -> Path:
        return Path(self.settings.database_url.removeprefix("sqlite:///"))

    def forget(self) -> None:
        """Begin with no ledger at all."""
        for part in self.ledger.parent.glob(f"{self.ledger.name}*"):
            part.unlink()

    def counts(self) -> list[int]:
        """Give how many planes each experiment has; whatever was killed, the ledger opens."""
        if not self.ledger.exists():
            return []
        return [sum(one.states.values()) for one in list_experiments(self.settings)]

    def extracted(self) -> set[PlaneKey]:
        """Extract all and give what the pixels say they are, seen to be just so."""
        (known,) = list_experiments(self.settings)
        SmallExperiment(known.experiment_id, self.settings, self.plate.folder).extract()
        found = set()
        for plane in ChannelImageFile.find(known.experiment_id, self.settings):
            pixels, record = plane.get(), plane.record
            key = read_stamp(pixels)
            assert key is not None
            assert (key.well, key.tpoint, key.zplane) == (record.well, record.tpoint, record.zplane)
            np.testing.assert_array_equal(pixels, expected_plane(LAYOUT, key))
            found.add(key)
        return found


def test_a_killed_registration_leaves_all_or_nothing(quick_folder: Path) -> None:
    registration = Registration(quick_folder)
    registration.run()
    registration.forget()
    span_s = registration.run()
    chance = random.Random(1)
    found = set()
    for kill in range(KILLS):
        # In turns into no ledger, and into whatever the kill before left.
        if kill % 2 == 0:
            registration.forget()
        process = registration.start()
        process.join(chance.uniform(0, span_s))
        process.kill()
        process.join()
        found.add(tuple(registration.counts()))
    assert () in found
    assert found <= {(), (LAYOUT.plane_count,)}
    registration.run()
    assert registration.counts() == [LAYOUT.plane_count]
    assert registration.extracted() == set(LAYOUT.plane_keys())
