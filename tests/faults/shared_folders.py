"""Real and simulated microscope folders, each registered twice, half of them damaged, attacked."""

import hashlib
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.database.planes import find_planes
from imextract.database.session import Database
from imextract.planes import PixelArray
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.simulation import PlateLayout, simulate
from tests.faults.kills import Outcome
from tests.faults.victim import SESSION, ended, environment_of, start_work

LAYOUT = PlateLayout(wells=2, sites=2, channels=2, zplanes=1, tpoints=2, height=60, width=80)
# Of one file or of many, of one series or of many, by readers of every kind but Java's,
# which takes seconds to come up after each kill.
REAL = (
    "Arcadia-Science+arcadia-microscopy-tools/example-multichannel/example-multichannel.nd2",
    "sebi06+czitools/CellDivision_T3_Z5_CH2_X240_Y170_comp1/*.czi",
    "sebi06+czitools/WellD6-7_S2/*.czi",
    "nimne+readlif/b/testdata_2channel_xz.lif",
    "cgohlke+oiffile/test.oib",
    "NEUBIAS+training-resources/mitocheck-movie/*.tif",
)

Place = tuple[str, int, int]
"""File, series and plane."""


@dataclass
class SharedFolders:
    """Folders, the experiments on them, and the truth about their planes.

    Attributes
    ----------
    damaged
        Files that were cut short: they must never go.
    compared
        Planes whose pixels were compared with the truth.
    """

    settings: Settings
    log: Path
    experiments: list[tuple[int, Path]] = field(default_factory=list)
    truth: dict[Path, dict[Place, str]] = field(default_factory=dict)
    damaged: dict[Path, bytes] = field(default_factory=dict)
    whole: dict[Path, bytes] = field(default_factory=dict)
    compared: int = 0

    def add(self, folder: Path, truth: Mapping[Place, str], *, damages: bool) -> None:
        """Damage half of a folder, if asked, and register it as two experiments."""
        if damages:
            for path in _files(folder, truth)[::2]:
                content = path.read_bytes()
                path.write_bytes(content[: len(content) * 2 // 3])
                self.damaged[path] = path.read_bytes()
        self.truth[folder] = dict(truth)
        self.whole |= {
            path: path.read_bytes() for path in _files(folder, truth) if path not in self.damaged
        }
        for name in ("first", "second"):
            self.experiments.append((registered(folder, self.settings, name), folder))

    def run(self, experiment_id: int, span_s: float | None = None) -> bool:
        """Run a session with deletion, killed after a while; say whether it was.

        Its collect comes all the same if planes fail, as those of damaged files do.
        """
        for part in (SESSION[:-1], SESSION[-1:]):
            commands = [[str(experiment_id), *words.split()] for words in part]
            process = start_work(commands, environment_of(self.settings), self.log)
            if span_s is not None:
                process.join(span_s)
                if process.exitcode is None:
                    process.kill()
            if ended(process) == -9:
                return True
        return False

    def check(self) -> None:
        """See that no plane is wrong, and that what is gone is stored, for every experiment."""
        for path, content in self.damaged.items():
            assert path.read_bytes() == content, f"{path} is not all extracted, and was touched"
        gone = {path for path, content in self.whole.items() if not _is(path, content)}
        database = Database(self.settings.database_url)
        for experiment_id, folder in self.experiments:
            for image in ChannelImageFile.find(experiment_id, self.settings):
                source = image.record.sources[0]
                if image.record.state == "extracted":
                    place = _place(folder, source.source_file, source.ref.series, source.ref.plane)
                    assert _digest(image.get()) == self.truth[folder][place], place
                    self.compared += 1
            told = {p.sources[0].source_file for p in find_planes(database, experiment_id)
                    if p.state != "extracted"}  # fmt: skip
            assert not told & gone, f"gone, and not stored for {experiment_id}: {told & gone}"

    def check_finished(self) -> None:
        """See that all whole folders are freed, and the others untouched."""
        self.check()
        hurt = {folder for folder in self.truth for path in self.damaged if folder in path.parents}
        for path in self.whole:
            is_hurt = any(folder in path.parents for folder in hurt)
            assert path.exists() == is_hurt, path


def attack_shared(kills: int, folder: Path, data: Path | None, seed: int) -> Outcome:
    """Kill sessions on folders that two experiments share, then let all of them finish."""
    settings = settings_in(folder)
    victims = SharedFolders(settings, folder / "said.txt")
    for name, damages in (("whole", False), ("damaged", True)):
        for kind, place in _folders(folder / name, data):
            victims.add(place, _truth(place, folder / f"{name}-{kind}"), damages=damages)
    chance = random.Random(seed)
    killed, span_s = 0, 1.0
    while killed < kills:
        experiment_id, _ = chance.choice(victims.experiments)
        killed += victims.run(experiment_id, chance.uniform(0, span_s))
        victims.check()
    for experiment_id, _ in victims.experiments * 2:
        victims.run(experiment_id)
    victims.check_finished()
    return Outcome(killed, victims.compared)


def settings_in(folder: Path) -> Settings:
    """Give a ledger and a storage in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}", storage_url=str(folder / "planes")
    )


def registered(folder: Path, settings: Settings, name: str) -> int:
    """Register a folder as an experiment of its own."""
    request = RegistrationRequest(folder=folder, name=f"{folder} {name}", check=0)
    experiment_id = register_folder(request, settings).experiment_id
    assert experiment_id is not None
    return experiment_id


def _folders(folder: Path, data: Path | None) -> Iterator[tuple[str, Path]]:
    for microscope in ("operetta", "imagexpress"):
        simulate(folder / microscope, microscope, LAYOUT)
        yield microscope, folder / microscope
    if data is not None:
        (folder / "real").mkdir()
        for pattern in REAL:
            for path in sorted(data.glob(pattern)):
                shutil.copyfile(path, folder / "real" / path.name)
        yield "real", folder / "real"


def _truth(folder: Path, place: Path) -> dict[Place, str]:
    """Give the digests of all planes of a folder, by an extraction that nobody disturbs."""
    settings = settings_in(place)
    victims = SharedFolders(settings, place / "said.txt")
    experiment_id = registered(folder, settings, "truth")
    commands = [[str(experiment_id), *words.split()] for words in ("init", "run", "collect")]
    assert ended(start_work(commands, environment_of(settings), victims.log)) == 0
    found = {}
    for image in ChannelImageFile.find(experiment_id, settings):
        source = image.record.sources[0]
        key = _place(folder, source.source_file, source.ref.series, source.ref.plane)
        found[key] = _digest(image.get())
    return found


def _files(folder: Path, truth: Mapping[Place, str]) -> Sequence[Path]:
    return [folder / name for name in sorted({name for name, _, _ in truth})]


def _place(folder: Path, file: Path, series: int, plane: int) -> Place:
    return file.relative_to(folder.resolve()).as_posix(), series, plane


def _is(path: Path, content: bytes) -> bool:
    """Whether a file is there, as it was; it must not be there in any other way."""
    if not path.exists():
        return False
    assert path.read_bytes() == content, f"{path} was touched"
    return True


def _digest(pixels: PixelArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
