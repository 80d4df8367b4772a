"""The process that workers on this machine are forked from."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.forkserver import _forkserver
from typing import Any

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
        self._process: int | None = None
        self._environment: dict[str, str] = {}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a run; one alone in another environment forks from a new process."""
        with self._lock:
            if not self._count:
                self._begin()
            self._count += 1
            is_ours = _process() in (None, self._process)
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if is_ours:
                    self._process = _process()

    def _begin(self) -> None:
        found, environment = _process(), _environment()
        # One that somebody else has started is his, with the processes that he has from it;
        # workers that come from it load for themselves what it has not loaded.
        if found is not None and found == self._process and environment != self._environment:
            # It keeps the environment of its start, and the settings that Prefect, Dask and C
            # libraries took from it.
            _leave(found)
        self._environment = environment


def _environment() -> dict[str, str]:
    """Give the environment, but for what Dask sets before it starts a worker."""
    set_by_dask = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    return {name: value for name, value in os.environ.items() if name not in set_by_dask}


def _process() -> int | None:
    """Give the id of the process that this program forks from, if it has one."""
    number: int | None = _SERVER._forkserver_pid  # noqa: SLF001  # there is no public way
    return number


def _leave(process: int) -> None:
    """Fork from a new process from now on; this one ends with the last that came from it.

    As `ForkServer._stop`, which waits for them all, and so for one that hangs.
    """
    with _SERVER._lock:  # noqa: SLF001
        os.close(_SERVER._forkserver_alive_fd)  # noqa: SLF001
        with suppress(FileNotFoundError):
            os.unlink(_SERVER._forkserver_address)  # noqa: PTH108, SLF001
        _SERVER._forkserver_alive_fd = None  # noqa: SLF001
        _SERVER._forkserver_address = None  # noqa: SLF001
        _SERVER._forkserver_pid = None  # noqa: SLF001
    # Else it would stay in the table of processes.
    threading.Thread(target=os.waitpid, args=(process, 0), daemon=True).start()


_SERVER: Any = _forkserver
_RUNS = _Runs()
