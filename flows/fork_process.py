"""The process that workers on this machine are forked from; little is loaded to begin it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.forkserver import _forkserver
from typing import Any

__all__ = ["FOR_WORKERS", "RUNS", "SET_BY_DASK", "process_for_workers"]

# Imports what every job needs: Prefect, Dask, and ours.
FOR_WORKERS = "flows.fork_server"

# What Dask sets, for good, before it starts a worker.
SET_BY_DASK = frozenset(
    {
        "MALLOC_TRIM_THRESHOLD_",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED",
    }
)


@contextmanager
def process_for_workers() -> Iterator[None]:
    """Have the process load now that workers will be forked from.

    It takes a second, in which this one can do something else. One that no run
    has forked from in the end is ended.
    """
    with RUNS.counted():
        RUNS.begin()
        try:
            yield
        finally:
            RUNS.end_unused()


class _Runs:
    """Those that have workers now, the process that these come from, and its environment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._process: int | None = None
        self._unused: int | None = None
        self._environment: dict[str, str] = {}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a run; one alone in another environment forks from a new process."""
        with self._lock:
            if not self._count:
                self._look_around()
            self._count += 1
            is_ours = _process() in (None, self._process)
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if is_ours:
                    self._process = _process()

    def begin(self) -> None:
        """Start the process, if there is none."""
        with self._lock:
            if _process() is None:
                _SERVER.set_forkserver_preload([FOR_WORKERS])
                _SERVER.ensure_running()
                self._unused = _process()

    def use(self) -> None:
        """Note that workers come from the process."""
        self._unused = None

    def end_unused(self) -> None:
        """End a process that no workers came from; one would load for nothing, and outlive us."""
        with self._lock:
            process = self._unused
            if process is None or process != _process() or self._count > 1:
                return
            self._unused = None
            os.kill(process, signal.SIGKILL)
            _leave(process)

    def _look_around(self) -> None:
        found, environment = _process(), _environment()
        # One that somebody else has started is his, with the processes that he has from it;
        # workers that come from it load for themselves what it has not loaded.
        if found is not None and found == self._process and environment != self._environment:
            # It keeps the environment of its start, and the settings that Prefect, Dask and C
            # libraries took from it.
            _leave(found)
        self._environment = environment


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SET_BY_DASK}


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
    threading.Thread(target=_see_off, args=(process,), daemon=True).start()


def _see_off(process: int) -> None:
    # Unless somebody else who waits for children of this program has done so.
    with suppress(ChildProcessError):
        os.waitpid(process, 0)


_SERVER: Any = _forkserver
RUNS = _Runs()
