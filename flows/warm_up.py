"""What a worker does before its first job, so that no job waits for it."""

import logging

from distributed import Worker, WorkerPlugin

from imextract.errors import ImextractError
from imextract.extractor import ImageExtractor
from tasks import extract as _extract  # noqa: F401  loads here what every job needs

__all__ = ["WarmUp"]

logger = logging.getLogger("imextract.flow")


class WarmUp(WorkerPlugin):
    """Loads what a job needs, and starts Java where a file is read by Bio-Formats.

    Parameters
    ----------
    experiment_id
        Whose planes the worker is to extract.
    """

    name = "imextract-warm-up"

    def __init__(self, experiment_id: int) -> None:
        self._experiment_id = experiment_id

    def setup(self, worker: Worker) -> None:
        """Do on a worker what need be done once; what fails here fails again in a job, by name."""
        try:
            ImageExtractor(self._experiment_id).warm_up()
        except ImextractError as error:
            logger.warning("worker %s is not ready before its first job: %s", worker.name, error)
