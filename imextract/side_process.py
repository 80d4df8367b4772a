"""A process beside this one, for work that may take its process with it, or use another core.

It is asked one thing at a time, works on ledger and storage by itself, and
ends with its parent. Dask's workers may not have children of multiprocessing,
and threads cannot share the work: HDF5 lets one in at a time.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import imextract
from imextract import errors
from imextract.closing import Closing
from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.readers.framing import read_message, write_message

__all__ = ["ProcessLostError", "SideProcess"]

_END_LIMIT_S = 10.0


class ProcessLostError(Exception):
    """The process ended, or was ended, before it answered."""


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
        # Not as an argument: the URL of the ledger may hold a password.
        try:
            self.ask({"settings": settings.model_dump()})
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        """Give the answer to a request.

        Parameters
        ----------
        limit_s
            Longest wait; the process is then ended.

        Raises
        ------
        ProcessLostError
            If the process ended before it answered; it must be closed.
        ImextractError
            What the process could not do.
        """
        is_late = threading.Event()
        timer = threading.Timer(limit_s or 0, self._end_late, (is_late,))
        if limit_s is not None:
            timer.start()
        try:
            write_message(_pipe(self._process.stdin), request)
            reply = read_message(_pipe(self._process.stdout))
        except OSError:
            reply = None
        finally:
            timer.cancel()
        if reply is None:
            late = f"did not finish within {limit_s:g} s" if is_late.is_set() else None
            raise ProcessLostError(late or self._describe_end())
        if "error" in reply:
            kind: type[ImextractError] = getattr(errors, reply["error"]["kind"])
            raise kind(reply["error"]["text"])
        return reply

    def close(self) -> None:
        """End the process."""
        os.close(self._lifeline)
        for stream in (self._process.stdin, self._process.stdout):
            _close(stream)
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end_late(self, is_late: threading.Event) -> None:
        is_late.set()
        self._process.kill()

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


def _close(stream: IO[bytes] | None) -> None:
    try:
        _pipe(stream).close()
    except OSError:
        # A request that nobody will read any more.
        return
