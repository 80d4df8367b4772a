"""A process beside this one, for work that may take its process with it, or use another core.

It is asked one thing at a time, works on ledger and storage by itself, and
ends with its parent. Dask's workers may not have children of multiprocessing,
and threads cannot share all of the work: Python lets one in at a time.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

import imextract
from imextract import errors
from imextract.closing import Closing
from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.readers.framing import read_message, write_message

__all__ = ["ProcessLateError", "ProcessLostError", "SideProcess", "TimeLimit"]

logger = logging.getLogger(__name__)

_START_LIMIT_S = 120.0
_END_LIMIT_S = 10.0

# After so many late answers in a row a disk is away, most likely.
_MOST_LATE = 2
_SHORTEST = 0.01


class ProcessLostError(Exception):
    """The process ended, or was ended, before it answered."""


class ProcessLateError(ProcessLostError):
    """The process was ended because it did not answer in time."""


class TimeLimit:
    """How long an answer is waited for: after some late ones less each time, until one is not.

    Else work whose disk is away would take days.

    Parameters
    ----------
    step_s
        How long one thing is read at most.
    """

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._late_in_a_row = 0

    def of(self, steps: int) -> float:
        """Give the limit of so many steps, in s; one of them may take twice as long."""
        halvings = max(self._late_in_a_row - _MOST_LATE, 0)
        return self._step_s * (steps + 1) * max(0.5**halvings, _SHORTEST)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count whether what is asked in a block is late; an error is an answer, too."""
        late, self._late_in_a_row = self._late_in_a_row, 0
        try:
            yield
        except ProcessLateError:
            self._late_in_a_row = late + 1
            raise


class SideProcess(Closing):
    """A process that runs `imextract.side_child`, until it is closed or lost."""

    def __init__(self, settings: Settings) -> None:
        ear, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "imextract.side_child", str(ear)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[ear],
                env=os.environ | {"PYTHONPATH": _python_path()},
                # Ctrl-C is for the parent; this one ends with it.
                start_new_session=True,
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(ear)
        self._replies: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._is_busy = False
        threading.Thread(target=self._listen, daemon=True).start()
        # Not as an argument: the URL of the ledger may hold a password.
        try:
            self.ask({"settings": settings.model_dump()}, _START_LIMIT_S)
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Give the answer to a request.

        Parameters
        ----------
        limit_s
            Longest wait; the process is then ended.

        Raises
        ------
        ProcessLostError
            If the process ended before it answered, or is late; it must be closed.
        ImextractError
            What the process could not do.
        """
        self._is_busy = True
        # A process that has ended will be known by its missing answer.
        with suppress(OSError):
            write_message(_pipe(self._process.stdin), request)
        try:
            reply = self._replies.get(timeout=limit_s)
        except Empty:
            self._process.kill()
            raise ProcessLateError(f"did not finish within {limit_s:g} s") from None
        self._is_busy = False
        if reply is None:
            raise ProcessLostError(self._describe_end())
        if "error" in reply:
            kind: type[ImextractError] = getattr(errors, reply["error"]["kind"])
            raise kind(reply["error"]["text"])
        return reply

    def close(self) -> None:
        """End the process; one that has nothing to do may tidy up."""
        with suppress(OSError):
            # A request that nobody will read any more.
            _pipe(self._process.stdin).close()
        if not self._is_busy:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_LIMIT_S)
        # It is killed by that, if it is still there.
        os.close(self._lifeline)
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        self._process.kill()
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            logger.warning(
                "process %d waits for a disk that does not answer, and cannot be ended; it ends "
                "when the disk is back",
                self._process.pid,
            )

    def _listen(self) -> None:
        # By a thread: a process that waits for a dead file server cannot be killed,
        # and so keeps its end of the pipe.
        try:
            with _pipe(self._process.stdout) as replies:
                while (reply := read_message(replies)) is not None:
                    self._replies.put(reply)
        finally:
            self._replies.put(None)

    def _describe_end(self) -> str:
        try:
            code = self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "stopped to answer"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _python_path() -> str:
    root = str(Path(imextract.__file__).parent.parent)
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream
