"""System calls of a process that fail, or that it does not survive, at a chosen one."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.faults.victim import Victim, ended


def run_injected(
    victim: Victim,
    words: Sequence[str],
    *injections: str,
    paths: Sequence[Path] = (),
    user: int | None = None,
) -> int:
    """Run commands with faults injected by strace, and give their exit code.

    Parameters
    ----------
    injections
        As in ``fsync:error=EIO:when=3``.
    paths
        Only calls that touch one of these count.
    """
    options = [f"--inject={injection}" for injection in injections]
    return _traced(victim, words, *options, *(f"--trace-path={path}" for path in paths), user=user)


def traced_calls(victim: Victim, words: Sequence[str], calls: Sequence[str]) -> list[str]:
    """Run commands undisturbed, and give what they say with these system calls, one by one.

    Each begins with the id of its thread: strace counts by threads.
    """
    trace = victim.log.with_name("trace.txt")
    assert _traced(victim, words, f"--trace={','.join(calls)}", f"--output={trace}") == 0
    return trace.read_text().splitlines()


def _traced(victim: Victim, words: Sequence[str], *options: str, user: int | None = None) -> int:
    with victim.held(*words, user=user) as (process, gate):
        # Only the faults, not the start of Python, are traced.
        tracer = subprocess.Popen(
            ["strace", "--follow-forks", f"--attach={process.pid}", "--quiet=exit", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert tracer.stderr is not None
        with tracer, tracer.stderr as said:
            first = said.readline()
            assert "attached" in first, first
            gate.send_bytes(b"go")
            said.read()
        return ended(process)
