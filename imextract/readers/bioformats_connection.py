"""One running Bio-Formats child: its pipes, its pending answers, its end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import IO, Any, Self

import imextract
from imextract.errors import ConfigError
from imextract.readers.framing import read_message, write_message
from imextract.readers.java_home import find_java_home

__all__ = ["ChildLostError", "Connection"]

_CHILD = "imextract.readers.bioformats_child"
_START_LIMIT_S = 120.0
_END_LIMIT_S = 5.0

# All else, such as the password of the database, is none of its business.
_PASSED_ON = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TZ")


class ChildLostError(Exception):
    """The child ended before it answered.

    Parameters
    ----------
    is_to_blame
        Whether the unanswered request was the one being worked on.
    """

    def __init__(self, reason: str, *, is_to_blame: bool) -> None:
        super().__init__(reason)
        self.is_to_blame = is_to_blame


class Connection:
    """A child process and the answers expected of it, in order."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        lifeline: int,
        scratch: tempfile.TemporaryDirectory[str],
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._scratch = scratch
        self._lock = threading.Lock()
        self._pending: deque[Future[dict[str, Any]]] = deque()
        self._said: deque[str] = deque(maxlen=15)
        self._end: str | None = None
        self._is_lost = False
        self._is_working = False
        self.last_answer = time.monotonic()
        self._ready = self._expect()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()

    @classmethod
    def begin(cls, heap_mb: int, slots: Sequence[int], *, is_brief: bool = False) -> Self:
        """Start a child, without waiting until its Java runs.

        Parameters
        ----------
        is_brief
            Whether it will look at files rather than read many planes.

        Raises
        ------
        ConfigError
            If there is no Java.
        """
        environment = _child_environment()
        scratch = tempfile.TemporaryDirectory(prefix="imextract-java-")
        environment["TMPDIR"] = scratch.name
        ear, lifeline = os.pipe()
        given = {"lifeline": ear, "slots": list(slots), "scratch": scratch.name}
        given |= {"heap_mb": heap_mb, "is_brief": is_brief}
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[ear, *slots],
                env=environment,
                # Ctrl-C is for the parent; the child ends with it.
                start_new_session=True,
            )
        except BaseException:
            os.close(lifeline)
            scratch.cleanup()
            raise
        finally:
            os.close(ear)
        return cls(process, lifeline, scratch)

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the child can still be asked."""
        return not self._is_lost and self._process.poll() is None

    @property
    def was_ended_by_others(self) -> bool:
        """Whether a signal that we did not send ended the child."""
        code = self._process.poll()
        return self._end is None and code is not None and code < 0

    def await_ready(self) -> None:
        """Wait until Java runs.

        Raises
        ------
        ConfigError
            If it does not start.
        ChildLostError
            If something else ended the child before it was ready.
        """
        try:
            self._ready.result(timeout=_START_LIMIT_S)
        except (ChildLostError, FutureTimeoutError) as error:
            if isinstance(error, ChildLostError) and self.was_ended_by_others:
                raise
            self.kill(f"it did not start within {_START_LIMIT_S:g} s")
            raise ConfigError(
                f"the Java process of Bio-Formats does not start: {error}; check JAVA_HOME "
                "and that IMEXTRACT_JAVA_HEAP_MB fits into this machine's memory"
            ) from error

    def send(self, request: dict[str, Any]) -> Future[dict[str, Any]]:
        """Send a request; `ChildLostError` is set on the future if none answers."""
        future = self._expect()
        try:
            write_message(_stream(self._process.stdin), request)
        except (OSError, ValueError):
            # The child ended before it saw the request.
            with self._lock:
                is_ours = future in self._pending
                if is_ours:
                    self._pending.remove(future)
            if is_ours:
                future.set_exception(ChildLostError("it had ended", is_to_blame=False))
        return future

    def kill(self, reason: str) -> None:
        """End the child at once, whatever it does."""
        with self._lock:
            self._end = self._end or f"was killed because {reason}"
        self._process.kill()
        self._receiver.join(_END_LIMIT_S)
        # A process that waits for a dead file server cannot even be killed.
        self._fail_pending()

    def _expect(self) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._is_lost:
                future.set_exception(ChildLostError("it had ended", is_to_blame=False))
                return future
            if not self._pending:
                self.last_answer = time.monotonic()
            self._pending.append(future)
        return future

    def _receive(self) -> None:
        replies = _stream(self._process.stdout)
        while (reply := read_message(replies)) is not None:
            with self._lock:
                self.last_answer = time.monotonic()
                self._is_working = "begun" in reply
                future = None if self._is_working else self._pending.popleft()
            if future is not None:
                future.set_result(reply)
        self._bury()

    def _bury(self) -> None:
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_END_LIMIT_S)
        self._fail_pending()
        os.close(self._lifeline)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            _close(stream)
        self._scratch.cleanup()

    def _fail_pending(self) -> None:
        with self._lock:
            self._is_lost = True
            unanswered = list(self._pending)
            self._pending.clear()
        reason = self._describe_end()
        for position, future in enumerate(unanswered):
            is_to_blame = position == 0 and self._is_working
            future.set_exception(ChildLostError(reason, is_to_blame=is_to_blame))

    def _listen(self) -> None:
        for line in _stream(self._process.stderr):
            self._said.append(line.decode("utf-8", "replace").rstrip())

    def _describe_end(self) -> str:
        code = self._process.returncode
        if self._end is not None:
            end = self._end
        elif code < 0:
            name = signal.Signals(-code).name
            hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
            end = f"was ended by {name}{hint}"
        else:
            end = f"ended with exit code {code}"
        said = f"; its last words: {' | '.join(self._said)[-800:]}" if self._said else ""
        return f"the Java process of Bio-Formats {end}{said}"


def _child_environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment["JAVA_HOME"] = str(find_java_home())
    environment["LC_ALL"] = "C.UTF-8"
    root = str(Path(imextract.__file__).parent.parent)
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = root + (os.pathsep + others if others else "")
    return environment


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        try:
            stream.close()
        except OSError:
            # A request that nobody will read any more.
            return
