"""What a run has loaded: shared with its workers, and not looked at again."""

import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed.utils import get_mp_context

__all__ = ["forked_workers", "keep_loaded"]

# Imports what every job needs: Prefect, Dask, and ours.
_FOR_WORKERS = "flows.fork_server"


@contextmanager
def forked_workers() -> Iterator[None]:
    """Fork workers on this machine from one process that has loaded what they need.

    Otherwise each would load it for itself, which takes more than a second of
    a core, and would take down module by module at its end, which takes half of
    that. What workers do not change they have in memory but once.
    """
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # Its first call would replace what it is told to load.
        context = get_mp_context()  # type: ignore[no-untyped-call]  # distributed has few types
        context.set_forkserver_preload([_FOR_WORKERS])
        yield


@functools.cache
def keep_loaded() -> None:
    """Spare the garbage collector what is loaded by now; does nothing beyond the first call.

    It stays until the program ends, and would be looked through again and
    again, longest of all at the end: half a second.
    """
    gc.freeze()
