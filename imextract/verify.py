"""Verify: re-read every stored plane against its checksum."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from imextract.database.experiments import count_states, get_experiment
from imextract.database.planes import PlaneFilter, PlaneRecord, find_planes
from imextract.database.session import Database
from imextract.prover import PlanesToProve, Prover
from imextract.workplace import Workplace

__all__ = ["VerifiedPlane", "verify_experiment"]

logger = logging.getLogger(__name__)

_GROUP = 16


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
    with Prover(place, count) as prover:
        for planes, errors in prover.prove(_groups(place.database, experiment_id)):
            for plane in planes:
                if plane.id in errors:
                    logger.warning("%s", errors[plane.id])
                yield VerifiedPlane(plane, errors.get(plane.id))


def _groups(
    database: Database, experiment_id: int
) -> Iterator[tuple[list[PlaneRecord], list[PlanesToProve]]]:
    planes = find_planes(database, experiment_id, PlaneFilter(state="extracted"))
    while group := list(islice(planes, _GROUP)):
        yield group, [PlanesToProve([plane.id for plane in group])]
