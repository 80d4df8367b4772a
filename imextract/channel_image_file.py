"""A plane of an experiment, for those who use its pixels."""

from collections.abc import Iterator
from typing import Self

from sqlalchemy.orm import Session

from imextract.compression import CompressionName
from imextract.config import Settings
from imextract.database.experiments import get_experiment
from imextract.database.planes import (
    PlaneFilter,
    PlaneRecord,
    find_planes,
    read_planes,
    update_planes,
    without_originals,
)
from imextract.errors import ConfigError, PlaneMismatchError, PlaneNotFoundError
from imextract.lease import Lease, hold_lease, require_lease
from imextract.planes import PixelArray
from imextract.stored import encode, ledger_values, load_plane, load_region
from imextract.workplace import Workplace

__all__ = ["ChannelImageFile"]

_WHOLE = slice(None)


class ChannelImageFile:
    """One plane: unique by tpoint, zplane, site, cycle, channel and acquisition.

    Use this and not paths: where and how planes are stored may change.

    Examples
    --------
    >>> for image in ChannelImageFile.find(42, well="B03", channel="DAPI"):
    ...     pixels = image.get()
    ...     corner = image.get(y=slice(0, 256), x=slice(0, 256))

    Attributes
    ----------
    record
        What the ledger knows of the plane: names, indices, sizes, sources.
    """

    def __init__(self, record: PlaneRecord, workplace: Workplace) -> None:
        self.record = record
        self._workplace = workplace

    @classmethod
    def open(cls, plane_id: int, settings: Settings | None = None) -> Self:
        """Give the plane of an id, as `imextract N planes` lists it.

        Raises
        ------
        PlaneNotFoundError
            If there is none.
        LedgerError
        """
        workplace = Workplace.of(settings)
        with workplace.database.reading() as session:
            found = read_planes(session, [plane_id])
        if not found:
            raise PlaneNotFoundError(
                f"the database has no plane {plane_id}; see `imextract EXPERIMENT_ID planes`"
            )
        return cls(found[0], workplace)

    @classmethod
    def find(
        cls, experiment_id: int, settings: Settings | None = None, **wanted: str | int
    ) -> Iterator[Self]:
        """Give the planes of an experiment, in the order of their ids.

        Parameters
        ----------
        **wanted
            Any of plate, well, site, acquisition, cycle, channel, tpoint,
            zplane, state.

        Raises
        ------
        UnknownExperimentError, LedgerError
        TypeError
            If a keyword is none of these.
        """
        workplace = Workplace.of(settings)
        plane_filter = PlaneFilter(**wanted)  # type: ignore[arg-type]  # by name, as documented
        for record in find_planes(workplace.database, experiment_id, plane_filter):
            yield cls(record, workplace)

    def get(self, y: slice = _WHOLE, x: slice = _WHOLE) -> PixelArray:
        """Read the pixels, or a region of them.

        The whole plane is given only if every bit of its file is as it was
        written; a region reads just the chunks that it touches, each checked
        on its own.

        Parameters
        ----------
        y, x
            Rows and columns, as for indexing an array.

        Returns
        -------
        ndarray, shape (height, width) or that of the region, native byte order

        Raises
        ------
        DamagedPlaneError
            If the plane is not extracted, missing or damaged.
        StorageError
            If the storage cannot be read.
        """
        if y == _WHOLE and x == _WHOLE:
            return load_plane(self._workplace.store, self.record)
        return load_region(self._workplace.store, self.record, y, x)

    def put(self, pixels: PixelArray, compression: CompressionName = "zstd") -> None:
        """Store pixels as this plane, durably, and record it in the ledger.

        The plane is marked suspect: pixels that did not come from its source
        hold the deletion of that source until someone accepts them.

        Parameters
        ----------
        pixels : ndarray, shape (height, width), dtype of the plane

        Raises
        ------
        PlaneMismatchError
            If shape or type are not those of the plane, or it is absent.
        ConfigError
            If an original of the plane is deleted: what is stored is the only copy.
        ExperimentBusyError, StorageError, LedgerError
        """
        record = self.record
        if pixels.shape != (record.height, record.width) or pixels.dtype.name != record.dtype:
            raise PlaneMismatchError(
                f"plane {record.id} is {record.height} x {record.width} {record.dtype}; "
                f"got an array of shape {pixels.shape} and type {pixels.dtype}"
            )
        database = self._workplace.database
        with hold_lease(database, record.experiment_id, "put") as lease:
            self._hold_originals(lease)
            encoded = encode(self.record, pixels, compression, "")
            self._workplace.store.check()
            with database.transaction() as session:
                self._require_originals(session, lease)
                # Within the transaction: who lost the lease meanwhile may have nothing to
                # replace, and its originals may be deleted since.
                location, content = encoded.stored.location, encoded.content
                self._workplace.store.put(location, content, replaces=True)
                values = ledger_values(encoded.stored) | {"is_suspect": True}
                update_planes(session, [record.id], **values)
                self.record = read_planes(session, [record.id])[0]

    def _hold_originals(self, lease: Lease) -> None:
        """Keep the originals from deletion before what is stored is replaced."""
        with self._workplace.database.transaction() as session:
            self._require_originals(session, lease)
            update_planes(session, [self.record.id], is_suspect=True)

    def _require_originals(self, session: Session, lease: Lease) -> None:
        """Refuse to replace what is the only copy, to the end of the transaction."""
        get_experiment(session, lease.experiment_id, locks=True)
        require_lease(session, lease)
        (self.record,) = read_planes(session, [self.record.id])
        if self.record.state == "absent":
            raise PlaneMismatchError(
                f"plane {self.record.id} is absent: it has no place in any microscope file; "
                "register the folder again when its file is there"
            )
        if without_originals(session, [self.record.id]):
            raise ConfigError(
                f"plane {self.record.id}: what is stored is the only copy, because its "
                "original is deleted; keep other pixels elsewhere"
            )

    @property
    def checksum(self) -> str | None:
        """XXH3-128 of the pixel bytes; None while not extracted."""
        return self.record.checksum
