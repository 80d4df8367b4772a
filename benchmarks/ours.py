"""The whole flow, run as a user runs it, against a Prefect server that is up."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from benchmarks.bench import Bench
from benchmarks.measuring import Measured, run_measured
from imextract.config import Settings
from imextract.database.batches import current_batches, runs_of_batch
from imextract.database.models import MicroscopeImageFileRow
from imextract.database.planes import PlaneFilter, find_planes
from imextract.extractor import ImageExtractor
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.workplace import Workplace
from scripts import prefect_stack

__all__ = ["FlowRun", "Flows", "serving_flows"]

_CODE = """
import json, sys
from flows.extraction import imextract
print(json.dumps(imextract(**json.loads(sys.argv[1]))))
"""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What a run of the flow took.

    Attributes
    ----------
    seconds
        From the begin of the first job to the end of collect, as the ledger
        tells: all but starting Python, Prefect and Dask.
    jobs_s
        From the begin of the first job to the end of the last: without closing
        Dask's workers, which comes before collect.
    whole
        The whole program.
    """

    planes: int
    seconds: float
    jobs_s: float
    whole: Measured


class Flows:
    """Registers folders and runs the flow, in a ledger of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._environment = environment
        self.settings = Settings.from_environment(environment)
        self._folder = folder

    def register(self, folder: Path, microscope: str = "auto") -> int:
        """Register a folder and give the number of its experiment."""
        request = RegistrationRequest(folder=folder, name=f"{folder.name}", microscope=microscope)
        experiment_id = register_folder(request, self.settings).experiment_id
        if experiment_id is None:
            raise RuntimeError(f"{folder}: not registered")
        return experiment_id

    def register_by_command(self, folder: Path, options: Sequence[str]) -> tuple[int, Measured]:
        """Register a folder as a user does; give its experiment, and what it took."""
        command = [sys.executable, "-m", "imextract.cli.main", "register", str(folder), "--json"]
        run = run_measured(
            [*command, "--name", folder.name, *options],
            folder=prefect_stack.CHECKOUT,
            environment=self._environment,
        )
        return json.loads(run.output[run.output.index("{") :])["experiment_id"], run

    def read_by_bioformats(self) -> None:
        """Let Bio-Formats read what has a reader of ours, to measure it."""
        files = update(MicroscopeImageFileRow).where(MicroscopeImageFileRow.reader == "ome-tiff")
        with Workplace.of(self.settings).database.transaction() as session:
            session.execute(files.values(reader="bioformats"))

    def run(self, experiment_id: int, **parameters: object) -> FlowRun:
        """Run the flow and find out what it took."""
        given = json.dumps({"experiment_id": experiment_id, **parameters})
        command = [sys.executable, "-c", _CODE, given]
        whole = run_measured(command, folder=prefect_stack.CHECKOUT, environment=self._environment)
        summary = json.loads(whole.output.strip().splitlines()[-1])
        seconds = self._seconds(experiment_id, "run", "collect")
        jobs_s = self._seconds(experiment_id, "run")
        return FlowRun(summary["extracted"], seconds, jobs_s, whole)

    def check(self, experiment_id: int) -> int:
        """Verify all planes against the ledger and give how many there are."""
        return sum(1 for _ in self._verified(experiment_id))

    def forget(self, experiment_id: int) -> None:
        """Delete the stored planes, so that they can be extracted once more."""
        ImageExtractor(experiment_id, self.settings).delete_previous_job_output()

    def _verified(self, experiment_id: int) -> Iterator[int]:
        place = Workplace.of(self.settings)
        for plane in find_planes(place.database, experiment_id, PlaneFilter(state="extracted")):
            yield plane.id

    def _seconds(self, experiment_id: int, *phases: str) -> float:
        with Workplace.of(self.settings).database.reading() as session:
            starts, ends = [], []
            for phase in phases:
                for batch in current_batches(session, experiment_id, phase):
                    for run in runs_of_batch(session, batch.id):
                        starts.append(run.started_at)
                        ends.append(run.finished_at or run.started_at)
        return (max(ends) - min(starts)).total_seconds()


@contextmanager
def serving_flows(bench: Bench) -> Iterator[Flows]:
    """Start a Prefect server of our own on loopback; stop it, and forget all, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ours-", dir=bench.folder))
    settings = {
        "IMEXTRACT_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMEXTRACT_STORAGE_URL": str(folder / "planes"),
    }
    environment = prefect_stack.private_environment(folder / "prefect", settings)
    with prefect_stack.running_server(environment, folder / "server.log") as server:
        prefect_stack.wait_until_healthy(server, environment["PREFECT_API_URL"])
        yield Flows(folder, environment)
    # Planes that were found stored would not be extracted by who is asked next.
    shutil.rmtree(folder)
