"""The step of one experiment: init, run, collect, in plain Python."""

from collections.abc import Iterable, Iterator

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
from imextract.extract import extract_batch
from imextract.plan import plan_collect, plan_runs
from imextract.workplace import Workplace

__all__ = ["ImageExtractor"]


class ImageExtractor:
    """Extracts the planes of one experiment.

    Parameters
    ----------
    experiment_id
        As `imextract list` shows it.
    settings
        Where planes and ledger are kept; by default what the environment says.

    Raises
    ------
    UnknownExperimentError
        If there is no such experiment.
    ConfigError, LedgerError
    """

    has_collect_phase = True

    def __init__(self, experiment_id: int, settings: Settings | None = None) -> None:
        self.experiment_id = experiment_id
        self._workplace = Workplace.of(settings)
        with self._workplace.database.reading() as session:
            get_experiment(session, experiment_id)

    def create_run_batches(self, arguments: ImextractBatchArguments) -> Iterator[RunBatch]:
        """Share out the planes that are missing into run jobs.

        With `arguments.restart` everything is forgotten and planned again,
        which is refused when an original is gone.

        Raises
        ------
        ConfigError
            If a restart is refused.
        StorageError, LedgerError
        """
        if arguments.restart:
            self.delete_previous_job_output()
        yield from plan_runs(
            self._workplace.database, self._workplace.store, self.experiment_id, arguments
        )

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
        """
        place = self._workplace
        return extract_batch(place.database, place.store, place.settings, batch, assume_clean_state)

    def collect_job_output(self, batch: CollectBatch) -> CollectResult:
        """Account for all planes and, if asked, delete the originals that are proven."""
        return collect_experiment(self._workplace.database, self._workplace.store, batch)

    def delete_previous_job_output(self) -> int:
        """Delete all stored planes of the experiment; what was planned stays planned.

        Returns
        -------
        int
            How many planes are planned again.

        Raises
        ------
        ConfigError
            If an original is gone: its planes are then the only copy.
        """
        place = self._workplace
        return delete_output(place.database, place.store, self.experiment_id)

    def unfinished(self, batches: Iterable[RunBatch]) -> list[RunBatch]:
        """Give those batches that have planes neither extracted nor failed."""
        wanted = list(batches)
        with self._workplace.database.reading() as session:
            open_ids = unfinished_batches(session, [batch.batch_id for batch in wanted])
        return [batch for batch in wanted if batch.batch_id in open_ids]
