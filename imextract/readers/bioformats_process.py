"""The handle of the process that runs Bio-Formats.

One per worker process, started at the first use and again after it died. What
goes wrong in there is an ordinary error here, of the one call that it met.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from multiprocessing.util import Finalize
from typing import Any

from imextract.config import Settings
from imextract.errors import (
    ImextractError,
    PlaneMismatchError,
    PlaneNotFoundError,
    SourceFileError,
    UnknownFormatError,
)
from imextract.readers.bioformats_connection import ChildLostError, Connection
from imextract.readers.slots import Slots

__all__ = ["BioFormatsProcess", "PendingReply", "shared_process"]

Request = dict[str, Any]
Reply = dict[str, Any]

_ERRORS: dict[str, type[ImextractError]] = {
    "unknown_format": UnknownFormatError,
    "no_plane": PlaneNotFoundError,
    "mismatch": PlaneMismatchError,
}
_WARM_UP: Request = {"do": "warm_up"}
_REMEDIES = {
    "unknown_format": "; leave the file out, or convert it to a format that Bio-Formats reads",
    "memory": "; give the workers more memory, or set IMEXTRACT_JAVA_HEAP_MB higher",
}


class PendingReply:
    """An answer that is on its way.

    Parameters
    ----------
    what
        What is being done, and where, for messages: "reading plane 3 of …".
    """

    def __init__(self, process: "BioFormatsProcess", request: Request, what: str) -> None:
        self._process = process
        self._request = request
        self._what = what
        self._future = process.send(request)

    def result(self) -> Reply:
        """Wait for the answer.

        Raises
        ------
        SourceFileError
            If Bio-Formats fails, dies or takes longer than the time limit.
        """
        try:
            reply = self._wait()
        except ChildLostError as lost:
            raise SourceFileError(f"{self._what}: {lost}") from lost
        if "error" in reply:
            raise _translated(reply, self._what)
        return reply

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back, with nothing, when the answer is there or never comes."""
        self._future.add_done_callback(lambda _: callback())

    def _wait(self) -> Reply:
        try:
            return self._process.wait(self._future)
        except ChildLostError as lost:
            if lost.is_to_blame:
                raise
        # It died of the request before this one: this one deserves its own try.
        self._future = self._process.send(self._request)
        return self._process.wait(self._future)


class BioFormatsProcess:
    """Starts, asks and replaces the child; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._heap_mb = settings.java_heap_mb
        self._is_brief = settings.java_process > 0
        self._time_limit_s = settings.read_timeout_s
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self.slots = Slots()

    @property
    def pid(self) -> int | None:
        """Process id of the child, if one is running."""
        connection = self._connection
        return connection.pid if connection is not None and connection.is_alive else None

    def ask(self, what: str, request: Request) -> Reply:
        """Send a request and wait for its answer, as `PendingReply.result`."""
        return PendingReply(self, request, what).result()

    def warm_up(self) -> None:
        """Start the child, if none is running, and have it ready to read fast.

        Raises
        ------
        SourceFileError, ConfigError
            If it does not start.
        """
        self.ask("starting Bio-Formats", _WARM_UP)

    def send(self, request: Request) -> Future[Reply]:
        """Send a request; the child answers in the order of requests."""
        with self._lock:
            return self._running().send(request)

    def begin(self) -> None:
        """Have a child start and get ready to read; who asks first waits for both.

        Raises
        ------
        ConfigError
            If there is no Java.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._begin()
                self._connection.send(_WARM_UP)

    def _running(self) -> Connection:
        if self._connection is None or not self._connection.is_alive:
            self._connection = self._begin()
        try:
            self._connection.await_ready()
        except ChildLostError:
            # Whatever ended it says nothing of Java: once more.
            self._connection = self._begin()
            self._await_second(self._connection)
        return self._connection

    def _begin(self) -> Connection:
        return Connection.begin(self._heap_mb, self.slots.descriptors, is_brief=self._is_brief)

    def _await_second(self, connection: Connection) -> None:
        try:
            connection.await_ready()
        except ChildLostError as error:
            raise SourceFileError(
                f"the Java process of Bio-Formats was ended twice while it started: {error}; "
                "give the worker more memory and run again"
            ) from error

    def wait(self, future: Future[Reply]) -> Reply:
        """Wait for an answer, at most the time limit from the last sign of life."""
        while True:
            connection = self._connection
            waited_s = time.monotonic() - connection.last_answer if connection else 0.0
            try:
                return future.result(timeout=max(self._time_limit_s - waited_s, 0.0))
            except FutureTimeoutError:
                self._end_if_stuck(connection)

    def close(self) -> None:
        """End the child; the next request starts another."""
        with self._lock:
            if self._connection is not None:
                self._connection.kill("it was closed")
                self._connection = None

    def _end_if_stuck(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if time.monotonic() - connection.last_answer >= self._time_limit_s:
            connection.kill(
                f"it gave no answer for {self._time_limit_s:g} s; "
                "set IMEXTRACT_READ_TIMEOUT_S higher if the file needs longer"
            )


def _translated(reply: Reply, what: str) -> ImextractError:
    kind, message = reply["error"]["kind"], reply["error"]["message"]
    raised = _ERRORS.get(kind, SourceFileError)
    logged = "".join(f"; it logged: {record}" for record in reply["warnings"][:3])
    return raised(f"{what}: Bio-Formats says {message}{logged}{_REMEDIES.get(kind, '')}")


_shared: dict[tuple[float, ...], BioFormatsProcess] = {}
_shared_lock = threading.Lock()


def shared_process(settings: Settings) -> BioFormatsProcess:
    """Give the one Bio-Formats process of this worker, or that of a number."""
    # A forked process must not use the pipes of its parent.
    limits = settings.java_heap_mb, settings.read_timeout_s
    key = os.getpid(), settings.java_process, *limits
    with _shared_lock:
        if key not in _shared:
            _shared[key] = BioFormatsProcess(settings)
            # Not by `atexit`, whose functions a forked worker does not run: it would leave
            # its folder of temporary files behind.
            Finalize(None, _shared[key].close, exitpriority=0)
        return _shared[key]
