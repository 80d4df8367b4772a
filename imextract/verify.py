"""Verify: re-read every stored plane against its checksum."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from imextract.database.experiments import count_states, get_experiment
from imextract.database.planes import PlaneRecord
from imextract.prover import Prover, extracted_planes
from imextract.workplace import Workplace

__all__ = ["VerifiedPlane", "verify_experiment"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedPlane:
    """A plane that was re-read; `error` is None if it is whole."""

    plane: PlaneRecord
    error: str | None


def verify_experiment(place: Workplace, experiment_id: int) -> Iterator[VerifiedPlane]:
    """Re-read every extracted plane of an experiment, on all cores, in the order of their ids.

    Raises
    ------
    UnknownExperimentError, LedgerError
    StorageError
        If the storage cannot be read at all.
    """
    with place.database.reading() as session:
        get_experiment(session, experiment_id)
        count = count_states(session, experiment_id)["extracted"]
    if count:
        # A disk that is not mounted is not the loss of all planes.
        place.store.require()
    groups = extracted_planes(place.database, experiment_id, "stored")
    with Prover(place, count) as prover:
        for planes, errors in prover.prove(groups):
            for plane in planes:
                if plane.id in errors:
                    logger.warning("%s", errors[plane.id])
                yield VerifiedPlane(plane, errors.get(plane.id))
