"""Batches on a Dask cluster: handed out bit by bit, watched, harvested."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Future, KilledWorker
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from flows.cluster import require_workers
from imextract.batches import BatchResult, RunBatch
from tasks.extract import extract

__all__ = ["Harvest", "extract_wave"]

logger = logging.getLogger("imextract.flow")

# Workers that a cluster is thought to have at least: more may come while a wave runs.
_FEWEST_WORKERS = 64
# How often it is asked, while no batch ends, whether any ever will.
_LOOK_EVERY_S = 1.0


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
    runner: DaskTaskRunner, batches: list[RunBatch], harvest: Harvest, workers: int
) -> Iterator[float]:
    """Run batches on the cluster and give the share that is done, after each.

    A batch that fails or loses its worker ends nothing: it is noted as a loss.
    No more of them are with the cluster than keep its workers busy: each that
    is waits in this process's memory.
    """
    threads: dict[str, int] = runner.client.nthreads()  # type: ignore[no-untyped-call]
    most = 2 * max(_FEWEST_WORKERS, workers, sum(threads.values()))
    waiting = iter(batches)
    running: dict[Future[Any], tuple[RunBatch, PrefectDaskFuture[BatchResult]]] = {}
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    for done in range(1, len(batches) + 1):
        for batch in islice(waiting, most - len(running)):
            future = _submit(runner, batch, harvest.jobs)
            running[future.wrapped_future] = batch, future
            future.wrapped_future.add_done_callback(ended.put)  # type: ignore[no-untyped-call]
        _harvest(*running.pop(_next(runner, ended)), harvest)
        yield done / len(batches)


def _submit(runner: DaskTaskRunner, batch: RunBatch, jobs: int) -> "PrefectDaskFuture[BatchResult]":
    return runner.submit(extract, {"batch": batch, "jobs": jobs})


def _next(runner: DaskTaskRunner, ended: "SimpleQueue[Future[Any]]") -> "Future[Any]":
    """Wait until a batch is done, or until it is certain that none will be."""
    while True:
        try:
            return ended.get(timeout=_LOOK_EVERY_S)
        except Empty:
            require_workers(runner.client.cluster)


def _harvest(batch: RunBatch, future: "PrefectDaskFuture[BatchResult]", harvest: Harvest) -> None:
    # Results leave the cluster as they come: were they kept there, Dask
    # would run finished batches again when their worker dies.
    try:
        harvest.results.append(future.result())
    except Exception as error:  # noqa: BLE001 - a fence: the ledger tells what is missing
        harvest.losses[batch.job] = f"extract {batch.job}/{harvest.jobs}: {_reason(error)}"
        logger.warning("%s", harvest.losses[batch.job])


def _reason(error: Exception) -> str:
    if isinstance(error, KilledWorker):
        return (
            f"its Dask worker died {error.allowed_failures + 1} times, or one that it shared "
            "with such a batch; if memory ran out, give `memory` more or `workers` fewer"
        )
    return f"{type(error).__name__}: {error}"
