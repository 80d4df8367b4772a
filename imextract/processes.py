"""Which process this is, told so that others can find out whether it has ended; its cores."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessId", "has_ended", "is_here", "this_process", "usable_cores"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process of some machine.

    Attributes
    ----------
    machine
        Names this start of a machine and the room in which its numbers of
        processes count (containers have their own); empty where unknown.
    started
        When the process started, in ticks since the machine did: numbers of
        processes are given again.
    """

    host: str
    machine: str
    process: int
    started: int


def this_process() -> ProcessId:
    """Say which process this is."""
    started = _start(os.getpid())
    return ProcessId(
        socket.gethostname(), "" if started is None else _machine(), os.getpid(), started or 0
    )


def is_here(process: ProcessId) -> bool:
    """Whether this process could see that one, if it ran."""
    return process.machine != "" and process.machine == _machine()


def has_ended(process: ProcessId) -> bool:
    """Whether a process is certainly over; False also where nobody can tell."""
    return is_here(process) and _start(process.process) != process.started


def usable_cores() -> int:
    """Count the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # Not on every system.
        return os.cpu_count() or 1


@cache
def _machine() -> str:
    try:
        return f"{_BOOT_ID.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start(process: int) -> int | None:
    """Give when a process started; None for one that is over, a zombie too."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return None
    # Behind the name of the program, which may hold anything.
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state in (b"Z", b"X") else int(fields[18])
