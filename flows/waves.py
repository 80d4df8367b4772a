"""Batches on a Dask cluster: mapped, watched, and mapped again where the ledger has gaps."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import sleep
from typing import Any, cast

from distributed import Future, KilledWorker, as_completed
from prefect import unmapped
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from flows.cluster import require_workers
from imextract.batches import BatchResult, RunBatch
from tasks.extract import extract

__all__ = ["Harvest", "extract_wave"]

logger = logging.getLogger("imextract.flow")


@dataclass(slots=True)
class Harvest:
    """What came back from the cluster, batch by batch, over all waves.

    Attributes
    ----------
    jobs
        How many batches there are.
    losses
        Why a job brought no result, one line each; its planes may well be extracted.
    """

    jobs: int
    results: list[BatchResult] = field(default_factory=list)
    losses: dict[int, str] = field(default_factory=dict)


def extract_wave(
    runner: DaskTaskRunner, batches: list[RunBatch], harvest: Harvest
) -> Iterator[float]:
    """Run batches on the cluster and give the share that is done, after each.

    A batch that fails or loses its worker ends nothing: it is noted as a loss.
    """
    mapped = runner.map(extract, {"batch": batches, "jobs": unmapped(harvest.jobs)})
    # Typed as a list of futures of futures (prefect-dask 0.3.7).
    futures = cast("list[PrefectDaskFuture[BatchResult]]", list(mapped))
    waiting = {
        future.wrapped_future: (batch, future)
        for batch, future in zip(batches, futures, strict=True)
    }
    del mapped, futures
    for done in _as_completed(runner, list(waiting)):
        # Results leave the cluster as they come: were they kept there, Dask
        # would run finished batches again when their worker dies.
        batch, future = waiting.pop(done)
        try:
            harvest.results.append(future.result())
        except Exception as error:  # noqa: BLE001 - a fence: the ledger tells what is missing
            harvest.losses[batch.job] = f"extract {batch.job}/{harvest.jobs}: {_reason(error)}"
            logger.warning("%s", harvest.losses[batch.job])
        yield 1 - len(waiting) / len(batches)


def _as_completed(runner: DaskTaskRunner, futures: list["Future[Any]"]) -> Iterator["Future[Any]"]:
    # distributed has few types.
    completed: Any = as_completed(futures, loop=runner.client.loop)  # type: ignore[no-untyped-call]
    while completed.count():
        while not completed.has_ready():
            require_workers(runner.client.cluster)
            sleep(0.1)
        yield next(completed)


def _reason(error: Exception) -> str:
    if isinstance(error, KilledWorker):
        return (
            f"its Dask worker died {error.allowed_failures + 1} times, or one that it shared "
            "with such a batch; if memory ran out, give `memory` more or `workers` fewer"
        )
    return f"{type(error).__name__}: {error}"
