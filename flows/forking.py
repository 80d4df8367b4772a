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
    """Those that have workers now, the process that these come from, and its environment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._is_ours = True
        self._process: int | None = None
        self._environment: dict[str, str] = {}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a run; one alone in another environment forks from a new process."""
        with self._lock:
            if not self._count:
                self._begin()
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if self._is_ours:
                    self._process = _process()
                    # With what Dask has set before it started the process.
                    self._environment = dict(os.environ)

    def _begin(self) -> None:
        found = _process()
        # One that somebody else has started is his, with the processes that he has from it;
        # workers that come from it load for themselves what it has not loaded.
        self._is_ours = found in (None, self._process)
        if found and self._is_ours and self._environment != dict(os.environ):
            # It keeps the environment of its start, and the settings that Prefect, Dask and C
            # libraries took from it; it has no workers any more. There is no public way.
            _forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001


def _process() -> int | None:
    """Give the id of the process that this program forks from, if it has one."""
    number: int | None = _forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001
    return number


_RUNS = _Runs()
