"""Work that may wait for a disk for ever: named while it waits, left behind at a time limit."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Patience", "StalledError"]

logger = logging.getLogger(__name__)

_GRACE_S = 10.0


class StalledError(Exception):
    """Work was left behind.

    Parameters
    ----------
    what
        What it waited for.
    """

    def __init__(self, what: object, waited_s: float) -> None:
        super().__init__(f"{what}: no answer for {waited_s:.0f} s")
        self.what = what


@dataclass(frozen=True, slots=True)
class _Wait:
    """What is waited for, since when, and for how long at most."""

    what: object
    since: float
    limit_s: float


class Patience:
    """Does work in a thread that is left behind when it waits for one thing too long.

    A system call cannot be given up by the thread that made it, nor a
    decoder that loops; but nobody need wait for that thread. Should it go on one
    day, it ends as soon as it begins to wait for something else.

    Parameters
    ----------
    limit_s
        What is waited for longer is named, once. Twice that long, or longer where
        `wait_for` says so, nothing is waited for.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._wait: _Wait | None = None
        self._named: _Wait | None = None
        self._is_over = threading.Event()
        self._is_given_up = False
        self._error: BaseException | None = None

    def wait_for(self, what: object, steps: int = 1) -> None:
        """Say, in the work, what is waited for from now on, as it stands in messages.

        Parameters
        ----------
        steps
            How many times something is read or written; each may take `limit_s`,
            and one of them twice that long.

        Raises
        ------
        StalledError
            If nobody waits for the work any more.
        """
        if self._is_given_up:
            raise StalledError(what, 0.0)
        self._wait = _Wait(what, time.monotonic(), self._limit_s * (steps + 1))

    def run(self, work: Callable[[], None]) -> None:
        """Do work, and raise what it raises.

        Raises
        ------
        StalledError
            If it waited too long; it is left behind.
        """
        # In the context of the caller: by it a log knows whose a line is.
        target = contextvars.copy_context().run
        # Not to be waited for at the end of the process either.
        threading.Thread(target=target, args=(self._work, work), daemon=True).start()
        try:
            while not self._is_over.wait(self._limit_s / 4):
                self._look()
        except StalledError:
            self._is_given_up = True
            raise
        except BaseException:
            # An interrupt: the plane that is underway may come to its end.
            self._is_given_up = True
            self._is_over.wait(min(self._limit_s, _GRACE_S))
            raise
        if self._error is not None:
            raise self._error

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  handed to who waits
            self._error = error
        finally:
            self._is_over.set()

    def _look(self) -> None:
        wait = self._wait
        if wait is None:
            return
        waited_s = time.monotonic() - wait.since
        if waited_s >= wait.limit_s:
            raise StalledError(wait.what, waited_s)
        if waited_s >= self._limit_s and wait is not self._named:
            self._named = wait
            # An error, though it may pass: nothing else would be said meanwhile.
            logger.error(
                "%s: no answer for %.0f s; it is given up after %g s; bring its disk back if it "
                "is away, or set IMEXTRACT_READ_TIMEOUT_S higher if it needs longer",
                wait.what,
                waited_s,
                wait.limit_s,
            )
