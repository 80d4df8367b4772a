"""The flow `imextract`: every planned plane of an experiment, extracted and accounted for."""

from contextlib import ExitStack
from time import perf_counter

from prefect import flow
from prefect.runtime import flow_run
from prefect_dask.task_runners import DaskTaskRunner

from flows.api import api_for_workers
from flows.cluster import WorkerSize, connect, let_workers_go, runner_settings
from flows.forking import forked_workers
from flows.loaded import loaded_is_kept
from flows.parameters import BatchSize, Cluster, Cores, Duration, ExperimentId, Memory, Workers
from flows.reports import Summary, publish, require_all, show_progress, summarise
from flows.retry import is_retry
from flows.waves import Harvest, extract_wave
from imextract.batches import ImextractBatchArguments
from imextract.compression import CompressionName
from imextract.extractor import ImageExtractor
from tasks.claim import claim
from tasks.collect import collect
from tasks.init import ask_ledger, init

__all__ = ["imextract"]

# Batches whose worker was lost are mapped again, this often at most in all.
MAX_WAVES = 3


# The result is not persisted: Prefect refuses to run a completed flow with one again.
@flow(name="imextract", flow_run_name="experiment-{experiment_id}", persist_result=False)
def imextract(
    experiment_id: ExperimentId,
    batch_size: BatchSize | None = None,
    delete: bool = False,
    restart: bool = False,
    compression: CompressionName = "zstd",
    cores: Cores = 1,
    memory: Memory = 2147,
    duration: Duration = "06:00:00",
    workers: Workers | None = None,
    cluster: Cluster = "local",
) -> Summary:
    """Extract every pixel plane of an experiment into compressed, verified files.

    Run it again to resume: it extracts what is missing and nothing else.

    Args:
        experiment_id: The experiment, as given by `imextract register` or `imextract list`.
        batch_size: At most this many acquisition sites per job; empty for as many as make
            about half a minute of work. Jobs are evenly filled, and there are at least as many
            as workers when there are sites enough.
        delete: Delete microscope files after their planes are extracted and proven.
        restart: Forget earlier output and extract everything again; refused when an
            original is gone or no longer gives what is stored.
        compression: zstd is read by any HDF5 or Zarr library with its plug-in, lz4 is the
            fastest, archive the smallest and slowest, gzip needs no plug-in, none does not
            compress.
        cores: Processor cores of one Dask worker.
        memory: Memory of one Dask worker in MB; half of it is the heap of Bio-Formats.
        duration: Longest life of one Dask worker on a cluster, as HH:MM:SS.
        workers: Number of Dask workers; empty for all cores of the machine.
        cluster: local, slurm, or the address of a running Dask scheduler (tcp://host:8786).
    """
    start = perf_counter()
    size = WorkerSize.of(workers, cores, memory, duration)
    arguments = ImextractBatchArguments(
        batch_size=batch_size,
        delete=delete,
        restart=restart and not is_retry(),
        compression=compression,
        workers=size.workers,
    )
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
