"""What a job waits for, told when it takes long: a disk that does not answer says nothing."""

import contextvars
import logging
import threading
import time
from types import TracebackType
from typing import Self

__all__ = ["Patience"]

logger = logging.getLogger(__name__)


class Patience:
    """Names, once, what has been waited for longer than a limit.

    The system call itself cannot be given up by the process that made it.

    Parameters
    ----------
    limit_s
        How long a wait is not worth a word.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._wait: tuple[object, float] = None, 0.0
        self._is_over = threading.Event()
        # In the context of whoever waits: by it Prefect knows whose log it is.
        target = contextvars.copy_context().run
        self._watcher = threading.Thread(target=target, args=(self._watch,), daemon=True)

    def wait_for(self, what: object) -> None:
        """Say what is waited for from now on, as it stands in messages."""
        self._wait = what, time.monotonic()

    def _watch(self) -> None:
        reported: tuple[object, float] | None = None
        while not self._is_over.wait(self._limit_s / 4):
            what, since = wait = self._wait
            waited_s = time.monotonic() - since
            if what is None or wait == reported or waited_s < self._limit_s:
                continue
            reported = wait
            # An error, though it may pass: nothing else would be said meanwhile.
            logger.error(
                "%s: no answer for %.0f s; bring its disk back if it is away. Or end this job and "
                "run again: that gives up a file that does not answer within %g s",
                what,
                waited_s,
                self._limit_s,
            )

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._watcher.join()
