"""Proof that planes are stored: read back, and compared with their originals."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from imextract.checksum import checksum_of_pixels
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

__all__ = ["Proof"]


class Proof:
    """Proves planes, some at a time."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def errors(self, plane_ids: Sequence[int], *, with_originals: bool) -> Mapping[int, str]:
        """Say what is wrong with planes; nothing of those that are whole.

        Parameters
        ----------
        with_originals
            Read the originals again, too: they must give what is stored.

        Raises
        ------
        LedgerError
        """
        with self._place.database.reading() as session:
            planes = read_planes(session, plane_ids)
        with ExitStack() as stack:
            reader = None
            if with_originals:
                of = SourceReader.of(self._place.database, self._place.settings, planes)
                reader = stack.enter_context(of)
            found = {plane.id: self._error(plane, reader) for plane in planes}
        gone = dict.fromkeys(plane_ids, "the ledger has no such plane any more")
        return {plane_id: e for plane_id in plane_ids if (e := (gone | found)[plane_id])}

    def _error(self, plane: PlaneRecord, reader: SourceReader | None) -> str | None:
        try:
            load_plane(self._place.store, plane, from_disk=True)
            if reader is not None and checksum_of_pixels(reader.read(plane)) != plane.checksum:
                return (
                    f"{plane.sources[0].source_file}: read again, series "
                    f"{plane.sources[0].ref.series}, plane {plane.sources[0].ref.plane} gives "
                    "other pixels than are stored: the file is not what it was; both are kept"
                )
        except (StorageError, SourceFileError, PlaneNotFoundError, PlaneMismatchError) as error:
            return str(error)
        return None
