"""Proof that planes are stored: read back, and compared with their originals."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from imextract.checksum import checksum_of_pixels
from imextract.closing import Closing
from imextract.database.planes import PlaneRecord, read_planes
from imextract.errors import (
    PlaneMismatchError,
    PlaneNotFoundError,
    SourceFileError,
    StorageError,
)
from imextract.sources import SourceReader
from imextract.stored import load_plane
from imextract.workplace import Workplace

__all__ = ["AT_ONCE", "Proof", "ProofKind"]

# Stored planes that are read at once for each core: while the disk reads one, another is
# decompressed. Measured (python -m benchmarks --only reading): a third is no gain.
AT_ONCE = 2

ProofKind = Literal["stored", "original", "equal"]
"""What is proven: that planes are stored as the ledger says, that their originals
give what the ledger says, or both."""


class Proof(Closing):
    """Proves planes, some at a time; the originals of the last ones stay open for the next.

    Parameters
    ----------
    threads
        Stored planes that are read at once, so that one is decompressed while the disk reads
        another. Who gives more than one must be able to end this process: Python waits for them
        before it ends, and so for a file that does not answer. One is the thread that asks.
    """

    def __init__(self, place: Workplace, threads: int = 1) -> None:
        self._place = place
        self._threads = threads
        self._reader = SourceReader({}, place.settings)

    def errors(self, plane_ids: Sequence[int], kind: ProofKind) -> Mapping[int, str]:
        """Say what is wrong with planes; nothing of those that are proven.

        Raises
        ------
        LedgerError
        """
        with self._place.database.reading() as session:
            planes = read_planes(session, plane_ids)
        if kind != "stored":
            self._reader.turn_to(self._place.database, planes)
        prove = partial(self._error, kind=kind)
        if kind == "stored" and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                errors = list(pool.map(prove, planes))
        else:
            errors = [prove(plane) for plane in planes]
        found = {plane.id: error for plane, error in zip(planes, errors, strict=True)}
        gone = dict.fromkeys(plane_ids, "the ledger has no such plane any more")
        return {plane_id: e for plane_id in plane_ids if (e := (gone | found)[plane_id])}

    def _error(self, plane: PlaneRecord, kind: ProofKind) -> str | None:
        match kind:
            case "stored":
                return self._not_stored(plane)
            case "equal":
                return self._not_stored(plane) or _not_original(plane, self._reader)
            case "original":
                return _not_original(plane, self._reader)

    def _not_stored(self, plane: PlaneRecord) -> str | None:
        try:
            load_plane(self._place.store, plane, from_disk=True)
        except StorageError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Close the originals."""
        self._reader.close()


def _not_original(plane: PlaneRecord, reader: SourceReader) -> str | None:
    try:
        pixels = reader.read(plane)
    except (SourceFileError, PlaneNotFoundError, PlaneMismatchError) as error:
        return str(error)
    if checksum_of_pixels(pixels) == plane.checksum:
        return None
    source = plane.sources[0]
    return (
        f"{source.source_file}: read again, series {source.ref.series}, plane {source.ref.plane} "
        "gives other pixels than are stored: the file is not what it was; both are kept"
    )
