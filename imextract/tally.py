"""What a job has done so far, and what is to be written to the ledger."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from imextract.database.planes import NOT_STORED, PlaneRecord
from imextract.errors import DeadlyFileError, ImextractError
from imextract.stored import EncodedPlane, StoredPlane, ledger_values

__all__ = ["Tally"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Counts of planes and bytes; the failures, a line each; changes of the ledger's rows."""

    extracted: int = 0
    already_there: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, plane: PlaneRecord, stored: StoredPlane, pixel_bytes: int | None) -> None:
        """Count a plane that is stored; no bytes for one that was found so."""
        if pixel_bytes is None:
            self.already_there += 1
        else:
            self.extracted += 1
            self.bytes_in += pixel_bytes
            self.bytes_out += stored.stored_bytes
        if stored.is_suspect:
            logger.warning(
                "%s: all its pixels are equal; it is kept, and holds the deletion of its originals",
                plane.name,
            )
        self.changes.append({"id": plane.id, **ledger_values(stored)})

    def absorb(self, other: "Tally") -> None:
        """Count what another tally counts as well."""
        self.extracted += other.extracted
        self.already_there += other.already_there
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.failures += other.failures
        self.changes += other.changes

    def add_all(self, stored: Iterable[tuple[PlaneRecord, EncodedPlane]]) -> None:
        """Count planes as they come to be stored."""
        for plane, encoded in stored:
            self.add(plane, encoded.stored, encoded.pixel_bytes)

    def fail(self, plane: PlaneRecord, error: ImextractError) -> None:
        """Count a plane that cannot be extracted."""
        text = f"{plane.name}: {error}"
        logger.warning("failed: %s", text)
        self.failures.append(text)
        outcome = {"state": "failed", "error": str(error)}
        is_deadly = isinstance(error, DeadlyFileError)
        self.changes.append({"id": plane.id, **NOT_STORED, **outcome, "is_deadly": is_deadly})
