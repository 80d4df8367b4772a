"""The process that workers on this machine are forked from."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.forkserver import _forkserver

import dask
from distributed.utils import get_mp_context

__all__ = ["forked_workers"]

# Imports what every job needs: Prefect, Dask, and ours.
_FOR_WORKERS = "flows.fork_server"


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
        context.set_forkserver_preload([_FOR_WORKERS])
        with _RUNS.counted():
            yield


class _Runs:
    """Those that have workers now, and the environment that the last of them left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._environment: dict[str, str] | None = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a run; one alone in another environment forks from a new process."""
        with self._lock:
            if not self._count and self._environment not in (None, dict(os.environ)):
                # It keeps the environment of its start, and the settings that Prefect, Dask and C
                # libraries took from it; it has no workers any more. There is no public way.
                _forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                # With what Dask has set before it started the process.
                self._environment = dict(os.environ)


_RUNS = _Runs()
