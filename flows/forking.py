"""Having Dask fork the workers on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed.utils import get_mp_context

from flows.fork_process import FOR_WORKERS, RUNS

__all__ = ["forked_workers"]


@contextmanager
def forked_workers() -> Iterator[None]:
    """Fork workers on this machine from one process that has loaded what they need.

    Otherwise each would load it for itself, which takes more than a second of
    a core, and would take down module by module at its end, which takes half of
    that. What workers do not change they have in memory but once.

    Runs of one program share the process as long as the environment is the
    same; those at the same time share it in any case.
    """
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # Its first call would replace what it is told to load.
        context = get_mp_context()  # type: ignore[no-untyped-call]  # distributed has few types
        context.set_forkserver_preload([FOR_WORKERS])
        with RUNS.counted():
            RUNS.use()
            yield
