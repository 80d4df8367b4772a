"""An experiment under attack, and the truth about its planes."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
import tifffile
from sqlalchemy import select

from imextract.batches import ImextractBatchArguments
from imextract.config import Settings
from imextract.database.models import AcquisitionRow as Acquisition
from imextract.database.models import MicroscopeImageFileRow as File
from imextract.database.planes import PlaneRecord, find_planes, plane_location
from tests.experiments import SmallExperiment, make_experiment
from tests.faults.job import work

# Processes are forked from one that has loaded what they need: hundreds of
# them cost no more than their work.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["imextract.cli.main", "imextract.cli.jobs", "imextract.cli.planes", "imextract.readers.tiff"]
)

_LONGEST_S = 400

# A session with deletion, from planned planes to freed originals.
SESSION = ("init --delete -b 1", "run", "collect")


class Victim:
    """A small experiment whose jobs run in processes that may be harmed.

    Attributes
    ----------
    compared
        Planes whose pixels were compared with the truth, in all checks so far.
    log
        What the processes said.
    writers
        How many threads of a process store planes; None for as many as the product has.
    """

    def __init__(
        self,
        folder: Path,
        sites: int = 3,
        zplanes: int = 2,
        experiment: SmallExperiment | None = None,
        writers: int | None = None,
    ) -> None:
        self.experiment = experiment or make_experiment(folder, sites, zplanes)
        self.log = folder / "said.txt"
        self.writers = writers
        self.compared = 0
        self._originals = {path: path.read_bytes() for path in self.experiment.originals()}
        self._pixels = {path: tifffile.imread(path) for path in self._originals}
        self._proven: dict[int, tuple[int, int]] = {}

    @property
    def storage(self) -> Path:
        return Path(self.experiment.settings.storage_url)

    @property
    def progress(self) -> tuple[int, int]:
        """How many planes are stored and originals freed, and how many there are of both."""
        stored, left = len(self.experiment.stored_files()), len(self.experiment.originals())
        return stored + len(self._originals) - left, 2 * len(self._originals)

    def commands(self, *words: str) -> list[list[str]]:
        """Spell commands of the experiment, each given as in ``init --delete``."""
        return [[str(self.experiment.experiment_id), *each.split()] for each in words]

    def start(
        self, *words: str, gate: Connection | None = None, user: int | None = None
    ) -> ForkServerProcess:
        """Run commands in a process of their own."""
        commands = self.commands(*words)
        environment = environment_of(self.experiment.settings)
        return start_work(commands, environment, self.log, gate, user, self.writers)

    def run(self, *words: str, user: int | None = None) -> int:
        """Run commands, wait, and give the exit code of the first that failed."""
        return ended(self.start(*words, user=user))

    def resume(self, delete: bool = True) -> None:
        """Run it all again in this process, as a user does after a fault."""
        extractor = self.experiment.extractor
        arguments = ImextractBatchArguments(delete=delete, batch_size=1)
        for batch in list(extractor.create_run_batches(arguments)):
            extractor.run_job(batch)
        extractor.collect_job_output(extractor.create_collect_batch(arguments))

    @contextmanager
    def held(
        self, *words: str, user: int | None = None
    ) -> Iterator[tuple[ForkServerProcess, Connection]]:
        """Give a process that begins with its commands when something is sent to it."""
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        with receiver, sender:
            yield self.start(*words, gate=receiver, user=user), sender

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def records(self) -> list[PlaneRecord]:
        return list(find_planes(self.experiment.database, self.experiment.experiment_id))

    def check(self) -> None:
        """See that at this instant no plane is lost, wrong, or extracted for nothing."""
        told = self._file_states()
        for record in self.records():
            source = record.sources[0].source_file
            stored = self.storage / plane_location(record.storage_key, record.id)
            if stored.exists():
                self._compare(stored, source)
            if record.state == "extracted":
                assert stored.exists(), f"{stored} is in the ledger, but not in the storage"
                self._see_not_redone(record.id, stored)
            else:
                self._proven.pop(record.id, None)
            if source.exists():
                assert source.read_bytes() == self._originals[source], f"{source} was touched"
            else:
                assert record.state == "extracted", f"{source} is gone, its plane {record.state}"
                assert told[source] != "present", f"{source} is gone, and the ledger knew nothing"

    def travel(self) -> None:
        """Forget what was stored when: the disk is set to another time."""
        self._proven.clear()

    def check_finished(self, originals: int) -> None:
        """See that all planes are extracted, and how many originals are left."""
        self.check()
        assert {record.state for record in self.records()} == {"extracted"}
        assert len(self.experiment.originals()) == originals
        gone = [state for path, state in self._file_states().items() if not path.exists()]
        assert set(gone) <= {"deleted"}
        assert os.listdir(self.storage / ".incoming") == []  # noqa: PTH208  all, hidden ones too

    def _file_states(self) -> dict[Path, str]:
        with self.experiment.database.reading() as session:
            rows = session.execute(
                select(Acquisition.folder, File.path, File.state).join(Acquisition)
            )
            return {Path(folder, path): state for folder, path, state in rows}

    def _compare(self, stored: Path, source: Path) -> None:
        with h5py.File(stored, "r") as file:
            np.testing.assert_array_equal(file["array"][()], self._pixels[source])
        self.compared += 1

    def _see_not_redone(self, plane_id: int, stored: Path) -> None:
        found = stored.stat()
        written = found.st_ino, found.st_mtime_ns
        assert self._proven.setdefault(plane_id, written) == written, f"{stored} was written again"


def environment_of(settings: Settings) -> dict[str, str]:
    """Give what leads a process to the ledger and the storage, and how patient it is."""
    return {
        "IMEXTRACT_DATABASE_URL": settings.database_url,
        "IMEXTRACT_STORAGE_URL": settings.storage_url,
        "IMEXTRACT_READ_TIMEOUT_S": str(settings.read_timeout_s),
    }


def start_work(
    commands: Sequence[Sequence[str]],
    environment: dict[str, str],
    log: Path,
    gate: Connection | None = None,
    user: int | None = None,
    writers: int | None = None,
) -> ForkServerProcess:
    """Run commands of the command line, as `work` does, in a process of their own."""
    given = (commands, environment, log, gate, user, writers)
    process = _CONTEXT.Process(target=work, args=given)
    process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Wait for a process and give its exit code, negative for a signal."""
    process.join(_LONGEST_S)
    assert process.exitcode is not None, f"process {process.pid}: not within {_LONGEST_S} s"
    return process.exitcode
