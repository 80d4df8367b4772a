"""What a run does: init, extract mapped over the batches, collect."""

from contextlib import ExitStack
from time import perf_counter

from prefect.runtime import flow_run
from prefect_dask.task_runners import DaskTaskRunner

from flows.api import api_for_workers
from flows.cluster import WorkerSize, connect, let_workers_go, runner_settings
from flows.forking import forked_workers
from flows.loaded import loaded_is_kept
from flows.parameters import Summary
from flows.reports import publish, require_all, show_progress, summarise
from flows.waves import Harvest, extract_wave
from imextract.batches import ImextractBatchArguments
from imextract.extractor import ImageExtractor
from tasks.claim import claim
from tasks.collect import collect
from tasks.init import ask_ledger, init

__all__ = ["extract_experiment"]

# Batches whose worker was lost are mapped again, this often at most in all.
MAX_WAVES = 3


def extract_experiment(
    experiment_id: int,
    arguments: ImextractBatchArguments,
    size: WorkerSize,
    cluster: str,
    start: float,
) -> Summary:
    """Extract what is missing of an experiment, and account for all of it.

    Parameters
    ----------
    experiment_id, arguments
        What to extract, and how.
    size, cluster
        The workers that do it.
    start
        When the run began, by `perf_counter`.

    Raises
    ------
    IncompleteExtractionError
        If a planned plane failed or is not extracted.
    ExperimentBusyError, ConfigError, StorageError, LedgerError
    """
    with (
        loaded_is_kept(),
        ImageExtractor(experiment_id).keep(claim(experiment_id, _purpose())) as lease,
        ExitStack() as started,
    ):
        batches = init(lease, arguments)
        harvest = Harvest(jobs=len(batches))
        if batches:
            settings = runner_settings(cluster, size.at_most(len(batches)))
            started.enter_context(api_for_workers())
            started.enter_context(forked_workers())
            runner = started.enter_context(DaskTaskRunner(**settings))
            connect(runner, experiment_id)
            for _ in range(MAX_WAVES):
                show_progress(experiment_id, extract_wave(runner, batches, harvest, size.workers))
                batches = ask_ledger(experiment_id, batches)
                if not batches:
                    break
            let_workers_go(runner)
        outcome = collect(lease, arguments)
    summary = summarise(harvest, outcome, perf_counter() - start)
    publish(experiment_id, summary, harvest, outcome)
    require_all(experiment_id, outcome, harvest)
    return summary


def _purpose() -> str:
    return f"flow run {flow_run.name} ({flow_run.id})"
