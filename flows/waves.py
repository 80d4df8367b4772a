"""Batches on a Dask cluster: mapped, watched, and mapped again where the ledger has gaps."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from distributed import as_completed
from prefect import unmapped
from prefect_dask import DaskTaskRunner

from imextract.batches import BatchResult, RunBatch
from tasks.extract import extract

__all__ = ["Harvest", "extract_wave"]

logger = logging.getLogger("imextract.flow")


@dataclass(slots=True)
class Harvest:
    """What came back from the cluster, batch by batch, over all waves.

    Attributes
    ----------
    losses
        Why a batch brought no result, one line each; its planes may well be extracted.
    """

    jobs: int = 0
    results: list[BatchResult] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


def extract_wave(
    runner: DaskTaskRunner, batches: list[RunBatch], harvest: Harvest
) -> Iterator[float]:
    """Run batches on the cluster and give the share that is done, after each.

    A batch that fails or loses its worker ends nothing: it is noted as a loss.
    """
    futures = {
        future.wrapped_future: (batch, future)
        for batch, future in zip(
            batches,
            runner.map(extract, {"batch": batches, "jobs": unmapped(harvest.jobs)}),
            strict=True,
        )
    }
    for done in as_completed(list(futures), loop=runner.client.loop):
        # Results leave the cluster as they come: were they kept there, Dask
        # would run finished batches again when their worker dies.
        batch, future = futures.pop(done)
        try:
            harvest.results.append(future.result())
        except Exception as error:  # noqa: BLE001 - a fence: the ledger tells what is missing
            loss = f"extract {batch.job}/{harvest.jobs}: {type(error).__name__}: {error}"
            harvest.losses.append(loss)
            logger.warning("%s; asking the ledger what is missing", loss)
        yield 1 - len(futures) / len(batches)
