"""The step of one experiment: init, run, collect, in plain Python."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from imextract.batches import (
    BatchResult,
    CollectBatch,
    CollectResult,
    ImextractBatchArguments,
    RunBatch,
)
from imextract.cleanup import delete_output
from imextract.collect import collect_experiment
from imextract.config import Settings
from imextract.database.batches import unfinished_batches
from imextract.database.experiments import get_experiment
from imextract.database.files import has_files_read_by
from imextract.extract import extract_batch
from imextract.lease import Lease, hold_lease, keep_lease, release_leases, take_lease
from imextract.plan import plan_collect, plan_runs
from imextract.readers.bioformats_process import shared_process
from imextract.workplace import Workplace

__all__ = ["ImageExtractor"]


class ImageExtractor:
    """Extracts the planes of one experiment.

    Whatever changes something holds a lease on the experiment meanwhile: one
    that is given, else one of its own. Who comes second is refused.

    Parameters
    ----------
    experiment_id
        As `imextract list` shows it.
    settings
        Where planes and ledger are kept; by default what the environment says.
    lease
        Held by the caller for all that is done here.

    Raises
    ------
    UnknownExperimentError
        If there is no such experiment.
    ConfigError, LedgerError
    """

    has_collect_phase = True

    def __init__(
        self, experiment_id: int, settings: Settings | None = None, lease: Lease | None = None
    ) -> None:
        self.experiment_id = experiment_id
        self._lease = lease
        self._workplace = Workplace.of(settings)
        with self._workplace.database.reading() as session:
            get_experiment(session, experiment_id)

    def create_run_batches(self, arguments: ImextractBatchArguments) -> Iterator[RunBatch]:
        """Share out the planes that are missing into run jobs.

        With `arguments.restart` everything is forgotten and planned again,
        which is refused when an original is gone or gives other pixels.

        Raises
        ------
        ConfigError
            If a restart is refused.
        ExperimentBusyError, StorageError, LedgerError
        """
        place = self._workplace
        # Planned at once, not bit by bit: the lease is not for what the caller does in between.
        with self._turn("init") as lease:
            if arguments.restart:
                delete_output(place, lease)
            batches = plan_runs(place.database, place.store, lease, arguments)
        yield from (replace(batch, lease=self._lease) for batch in batches)

    def create_collect_batch(self, arguments: ImextractBatchArguments) -> CollectBatch:
        """Describe the collect job, which holds `delete`."""
        return plan_collect(self._workplace.database, self.experiment_id, arguments)

    def run_job(self, batch: RunBatch, assume_clean_state: bool = False) -> BatchResult:
        """Extract the planes of one batch that are not extracted yet.

        Parameters
        ----------
        batch
            As `create_run_batches` gave it.
        assume_clean_state
            Do not look for what is already stored.

        Raises
        ------
        StorageError, LedgerError
            If something stood in the way that may pass. A bad plane raises
            nothing: it is recorded and counted.
        ExperimentBusyError
        """
        place = self._workplace
        with self._turn(f"job {batch.job}", batch) as lease:
            return extract_batch(place, batch, lease, assume_clean_state)

    def collect_job_output(self, batch: CollectBatch) -> CollectResult:
        """Account for all planes and, if asked, delete the originals that are proven."""
        with self._turn("collect") as lease:
            return collect_experiment(self._workplace, batch, lease)

    def delete_previous_job_output(self, force: bool = False) -> int:
        """Delete all stored planes of the experiment; what was planned stays planned.

        Parameters
        ----------
        force
            Do not read the originals again to see that they give what is deleted.

        Returns
        -------
        int
            How many planes are planned again.

        Raises
        ------
        ConfigError
            If an original is gone, or gives other pixels than are stored: its planes
            are then the only copy.
        ExperimentBusyError, StorageError, LedgerError
        """
        place = self._workplace
        with self._turn("cleanup") as lease:
            return delete_output(place, lease, force=force)

    def unfinished(self, batches: Iterable[RunBatch]) -> list[RunBatch]:
        """Give those batches that have planes neither extracted nor failed."""
        wanted = list(batches)
        with self._workplace.database.reading() as session:
            open_ids = unfinished_batches(session, [batch.batch_id for batch in wanted])
        return [batch for batch in wanted if batch.batch_id in open_ids]

    def warm_up(self) -> None:
        """Start Java in this process, if Bio-Formats reads any file of the experiment.

        Raises
        ------
        SourceFileError, ConfigError
            If Java does not start.
        LedgerError
        """
        with self._workplace.database.reading() as session:
            is_needed = has_files_read_by(session, self.experiment_id, "bioformats")
        if is_needed:
            shared_process(self._workplace.settings).warm_up()

    def take(self, purpose: str) -> Lease:
        """Take the lease of the experiment; to be given to `keep` and to other extractors.

        Raises
        ------
        ExperimentBusyError
            If another run holds one.
        LedgerError
        """
        return take_lease(self._workplace.database, self.experiment_id, purpose)

    def keep(self, lease: Lease) -> AbstractContextManager[Lease]:
        """Keep a lease that was taken for the length of a block, and give it back."""
        return keep_lease(self._workplace.database, lease)

    def release(self) -> list[str]:
        """Take the experiment from whoever works on it, and tell who that was."""
        return release_leases(self._workplace.database, self.experiment_id)

    def _turn(self, purpose: str, batch: RunBatch | None = None) -> AbstractContextManager[Lease]:
        held = self._lease or (batch.lease if batch else None)
        if held:
            return nullcontext(held)
        batch_id = batch.batch_id if batch else None
        purpose = f"imextract {self.experiment_id} {purpose}"
        return hold_lease(self._workplace.database, self.experiment_id, purpose, batch_id)
