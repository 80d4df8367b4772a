"""Extracting planes apart from this process, because one of them may end it."""

import logging
from collections.abc import Sequence
from typing import Any

from imextract.closing import Closing
from imextract.compression import CompressionName
from imextract.config import Settings
from imextract.database.planes import PlaneRecord
from imextract.errors import DeadlyFileError
from imextract.side_process import ProcessLateError, ProcessLostError, SideProcess, TimeLimit
from imextract.stored import StoredPlane

__all__ = ["ExtractionApart"]

logger = logging.getLogger(__name__)

# A plane that ends so many processes is given up: one may have been ended by
# somebody else, or for lack of memory that others took.
_MOST_LOST = 2
# To ask the ledger for what is to be done.
_OPEN_LIMIT_S = 600.0


class ExtractionApart(Closing):
    """Extracts planes in a process of its own, which is replaced when a plane ends it.

    Parameters
    ----------
    planes
        All that will be asked for.
    assume_clean_state
        Do not look for what is already stored.
    """

    def __init__(
        self,
        settings: Settings,
        planes: Sequence[PlaneRecord],
        compression: CompressionName,
        *,
        assume_clean_state: bool,
    ) -> None:
        self._settings = settings
        self._plane_ids = [plane.id for plane in planes]
        self._options = {"compression": compression, "assume_clean_state": assume_clean_state}
        self._process: SideProcess | None = None
        self._limit = TimeLimit(settings.read_timeout_s)

    def extract(self, plane: PlaneRecord) -> tuple[StoredPlane, int | None]:
        """Store a plane, or take over what an interrupted job has stored.

        Returns
        -------
        StoredPlane and int
            The bytes of its pixels; None if it was stored already.

        Raises
        ------
        DeadlyFileError
            If it ended two processes, or was not read in time.
        SourceFileError, PlaneNotFoundError, PlaneMismatchError, StorageError
        ProcessLostError
            If no process comes up: that is no plane's doing.
        """
        ends: list[str] = []
        while len(ends) < _MOST_LOST:
            process = self._opened()
            try:
                reply = self._ask(process, plane)
            except ProcessLostError as error:
                logger.warning("%s: the process that extracted it %s", plane.name, error)
                ends.append(str(error))
                self.close()
                if isinstance(error, ProcessLateError):
                    break
            else:
                return StoredPlane(**reply["stored"]), reply["bytes_in"]
        raise _deadly(plane, ", the next one ".join(ends))

    def _ask(self, process: SideProcess, plane: PlaneRecord) -> dict[str, Any]:
        limit_s = self._limit.of(len(plane.sources))
        with self._limit.counted():
            return process.ask({"do": "extract", "plane_id": plane.id, **self._options}, limit_s)

    def _opened(self) -> SideProcess:
        if self._process is None:
            try:
                self._process = SideProcess(self._settings)
                self._process.ask({"do": "open", "plane_ids": self._plane_ids}, _OPEN_LIMIT_S)
            except ProcessLostError as error:
                raise ProcessLostError(
                    f"a process to extract planes in did not come up: it {error}; give the worker "
                    "more memory if that was lacking, and run again"
                ) from error
        return self._process

    def close(self) -> None:
        """End the process, if one is running."""
        if self._process is not None:
            self._process.close()
            self._process = None


def _deadly(plane: PlaneRecord, end: str) -> DeadlyFileError:
    source = plane.sources[0]
    return DeadlyFileError(
        f"{source.source_file}: series {source.ref.series}, plane {source.ref.plane}: the "
        f"process that extracted it {end}; bring its disk back or replace the file, or give it "
        "more memory if that was lacking, and run again"
    )
