"""Programs run to be measured: seconds, CPU seconds, memory of all their processes."""

import contextlib
import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

__all__ = ["CannotRunError", "Measured", "own_peak_mb", "run_measured"]


class CannotRunError(Exception):
    """A program that should be measured does not work here; the message is its own last word."""


_PR_SET_CHILD_SUBREAPER = 36
# Longest wait for processes that end after their program.
_LINGERING_S = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a program took, with all processes that it started.

    Attributes
    ----------
    wall_s, cpu_s
        From start to end; user and system time.
    peak_mb
        Largest resident memory of any one of its processes, sampled.
    output
        What it wrote on standard output.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run_measured(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 3600,
) -> Measured:
    """Run a program to its end.

    Raises
    ------
    CannotRunError
        If it cannot be started, fails, or takes too long.
    """
    start = time.perf_counter()
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment or os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRunError(str(error)) from error
    with _PeakMemory(process.pid) as memory, _cpu_of_children() as cpu:
        output = _output(process, timeout_s)
        wall_s = time.perf_counter() - start
    if process.returncode:
        raise CannotRunError(_last_word(output) or f"exit code {process.returncode}")
    return Measured(wall_s, cpu[0], memory.peak_mb, output)


def own_peak_mb() -> float:
    """Give the largest resident memory of this process.

    `getrusage` would give that of the parent if it was larger: it counts what
    was there before the program was loaded.
    """
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in one)
    return int(line.split()[1]) / 1024


def _output(process: "subprocess.Popen[str]", timeout_s: float) -> str:
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except BaseException as error:
        # An interrupt, too, which is for this process alone.
        os.killpg(process.pid, 9)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CannotRunError(f"not done within {timeout_s:.0f} s") from error
        raise
    return str(output)


def _last_word(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


@contextlib.contextmanager
def _cpu_of_children() -> Iterator[list[float]]:
    """Give the CPU seconds of a program, and of processes of it that end after it."""
    found = [-_children_s()]
    others = psutil.Process().children()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    yield found
    # Such as that which workers were forked from.
    psutil.wait_procs(set(psutil.Process().children()) - set(others), timeout=_LINGERING_S)
    found[0] += _children_s()


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


class _PeakMemory:
    """Looks at the processes of a program every now and then."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._ended.wait(0.02 if self.peak_mb == 0 else 0.3):
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(self._pid)
                for process in [root, *root.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        self.peak_mb = max(self.peak_mb, process.memory_info().rss / 1e6)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
