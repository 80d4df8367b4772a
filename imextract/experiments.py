"""Which experiments there are."""

from imextract.config import Settings
from imextract.database import experiments as queries
from imextract.database.experiments import ExperimentSummary
from imextract.workplace import Workplace

__all__ = ["ExperimentSummary", "list_experiments", "pending_experiments"]


def list_experiments(settings: Settings | None = None) -> list[ExperimentSummary]:
    """Give all experiments with their planes by state, in the order of their ids."""
    with Workplace.of(settings).database.reading() as session:
        return queries.list_experiments(session)


def pending_experiments(settings: Settings | None = None) -> list[int]:
    """Give the experiments that still have planes to extract, in the order of their ids."""
    with Workplace.of(settings).database.reading() as session:
        return queries.pending_experiments(session)
