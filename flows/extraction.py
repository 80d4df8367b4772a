"""The flow `imextract`: every planned plane of an experiment, extracted and accounted for."""

from contextlib import nullcontext
from time import perf_counter

from prefect import flow

from flows.fork_process import process_for_workers
from flows.parameters import (
    BatchSize,
    Cluster,
    Cores,
    Duration,
    ExperimentId,
    Memory,
    Summary,
    Workers,
)
from imextract.compression import CompressionName
from imextract.garbage import nothing_collected

__all__ = ["imextract"]


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
    with process_for_workers() if cluster == "local" else nullcontext():
        # Not above: while this is loaded, which takes half a second, so is what workers need.
        with nothing_collected():
            from flows.cluster import WorkerSize
            from flows.retry import is_retry
            from flows.story import extract_experiment
            from imextract.batches import ImextractBatchArguments

        size = WorkerSize.of(workers, cores, memory, duration)
        arguments = ImextractBatchArguments(
            batch_size=batch_size,
            delete=delete,
            restart=restart and not is_retry(),
            compression=compression,
            workers=size.workers,
        )
        return extract_experiment(experiment_id, arguments, size, cluster, start)
