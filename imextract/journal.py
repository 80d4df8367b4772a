"""The log of one job, kept so that anyone can read it later, whoever ran it."""

import logging
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

__all__ = ["Journal"]

_MOST_LINES = 5_000

# Of the job that is being done; threads that do a part of it inherit it.
_current: ContextVar["Journal | None"] = ContextVar("imextract_journal", default=None)


class Journal(logging.Handler):
    """Collects what imextract logs in this context while a job runs.

    Lines beyond the first few thousand are counted, not kept.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: list[str] = []
        self._dropped = 0
        self._token: Token[Journal | None] | None = None
        self._logger = logging.getLogger("imextract")
        self._level = self._logger.level
        self.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        )

    @property
    def text(self) -> str:
        """All lines so far."""
        dropped = [f"... and {self._dropped} more lines"] if self._dropped else []
        return "\n".join(self._lines + dropped)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        if _current.get() is not self:
            return
        if len(self._lines) < _MOST_LINES:
            self._lines.append(self.format(record))
        else:
            self._dropped += 1

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        # Nobody may have asked for INFO; the job's own log always has it.
        self._level = self._logger.level
        if self._logger.getEffectiveLevel() > logging.INFO:
            self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._logger.removeHandler(self)
        if self._token is not None:
            _current.reset(self._token)
        self._logger.setLevel(self._level)
