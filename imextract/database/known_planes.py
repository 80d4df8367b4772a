"""Queries about planes that were registered before: by their source, by their place."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Select, distinct, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    MicroscopeImageFileRow,
    PlateRow,
    SiteRow,
    SourcePlaneRow,
    WellRow,
)

__all__ = [
    "KnownPlane",
    "PlaneKey",
    "Source",
    "acquisitions_of_folder",
    "indices_in_use",
    "last_tpoint_elsewhere",
    "planes_by_key",
    "planes_by_source",
    "shared_files",
    "sites_of_acquisition",
    "sources_of_planes",
]

Plane = ChannelImageFileRow

# As many values as are bound in one statement; SQLite of old takes 999.
_CHUNK = 900

Source: TypeAlias = tuple[int, int, int]
"""Entry, series, plane."""

PlaneKey: TypeAlias = tuple[int, int, int, int, int, int]
"""Site, channel, cycle, tpoint, zplane, acquisition: unique."""


@dataclass(frozen=True, slots=True)
class KnownPlane:
    """A plane of the ledger."""

    id: int
    site_id: int
    channel_id: int
    cycle_id: int
    tpoint: int
    zplane: int
    acquisition_id: int
    state: str

    @property
    def key(self) -> PlaneKey:
        """What makes the plane unique."""
        return (
            self.site_id,
            self.channel_id,
            self.cycle_id,
            self.tpoint,
            self.zplane,
            self.acquisition_id,
        )


_COLUMNS = tuple(getattr(Plane, name) for name in KnownPlane.__dataclass_fields__)


def planes_by_source(session: Session, entry_ids: Collection[int]) -> dict[Source, KnownPlane]:
    """Give the planes that are read through these entries, by what is read."""
    source = SourcePlaneRow
    query = select(source.microscope_image_file_id, source.series, source.plane, *_COLUMNS).join(
        Plane, Plane.id == source.channel_image_file_id
    )
    return {
        (entry_id, series, plane): KnownPlane(*known)
        for entry_id, series, plane, *known in _chunked(
            session, query, source.microscope_image_file_id, entry_ids
        )
    }


def planes_by_key(
    session: Session, acquisition_ids: Collection[int], site_ids: Collection[int]
) -> dict[PlaneKey, KnownPlane]:
    """Give the planes of some sites in some acquisitions, by their place."""
    query = select(*_COLUMNS).where(Plane.acquisition_id.in_(acquisition_ids))
    found = (KnownPlane(*row) for row in _chunked(session, query, Plane.site_id, site_ids))
    return {plane.key: plane for plane in found}


def sources_of_planes(session: Session, plane_ids: Collection[int]) -> dict[int, set[Source]]:
    """Give the sources of planes."""
    source = SourcePlaneRow
    query = select(
        source.channel_image_file_id, source.microscope_image_file_id, source.series, source.plane
    )
    found: dict[int, set[Source]] = {}
    for plane_id, *place in _chunked(session, query, source.channel_image_file_id, plane_ids):
        found.setdefault(plane_id, set()).add((place[0], place[1], place[2]))
    return found


def sites_of_acquisition(session: Session, acquisition_id: int) -> dict[int, tuple[str, int]]:
    """Give well and index of the sites of an acquisition's plate, by id."""
    query = (
        select(SiteRow.id, WellRow.name, SiteRow.index)
        .join(WellRow, WellRow.id == SiteRow.well_id)
        .join(AcquisitionRow, AcquisitionRow.plate_id == WellRow.plate_id)
        .where(AcquisitionRow.id == acquisition_id)
    )
    return {site_id: (well, index) for site_id, well, index in session.execute(query)}


def indices_in_use(session: Session, acquisition_id: int, axis: str) -> set[int]:
    """Give the values of a column ("site_id", "tpoint", "zplane"), absent planes left out."""
    query = select(distinct(getattr(Plane, axis))).where(
        Plane.acquisition_id == acquisition_id, Plane.state != "absent"
    )
    return set(session.scalars(query))


def last_tpoint_elsewhere(session: Session, acquisition_id: int, cycle_id: int) -> int | None:
    """Give the last tpoint of this cycle on the plate in acquisitions of other folders."""
    this = select(AcquisitionRow.plate_id, AcquisitionRow.folder).where(
        AcquisitionRow.id == acquisition_id
    )
    plate_id, folder = session.execute(this).one()
    others = session.scalars(
        select(AcquisitionRow.id).where(
            AcquisitionRow.plate_id == plate_id, AcquisitionRow.folder != folder
        )
    ).all()
    query = (
        select(Plane.tpoint)
        .where(Plane.acquisition_id.in_(others), Plane.cycle_id == cycle_id)
        .order_by(Plane.tpoint.desc())
        .limit(1)
    )
    return session.scalar(query) if others else None


def acquisitions_of_folder(session: Session, experiment_id: int, folder: str) -> Sequence[int]:
    """Give the acquisitions of an experiment that were registered from a folder."""
    query = (
        select(AcquisitionRow.id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(PlateRow.experiment_id == experiment_id, AcquisitionRow.folder == folder)
    )
    return session.scalars(query).all()


def shared_files(
    session: Session, acquisition_ids: Collection[int], others: Collection[int]
) -> Sequence[tuple[str, str, int]]:
    """Count the images of acquisitions of a folder that others of it have as well.

    Returns
    -------
    sequence of (plate, acquisition, number of files)
        One for each of the others.
    """
    own, other = aliased(MicroscopeImageFileRow), aliased(MicroscopeImageFileRow)
    query = (
        select(PlateRow.name, AcquisitionRow.name, func.count())
        .select_from(own)
        .join(other, other.path == own.path)
        .join(AcquisitionRow, AcquisitionRow.id == other.acquisition_id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(own.acquisition_id.in_(acquisition_ids), other.acquisition_id.in_(others))
        .where(own.holds_pixels, other.holds_pixels)
        .group_by(PlateRow.name, AcquisitionRow.name)
    )
    return [(plate, name, count) for plate, name, count in session.execute(query)]


def _chunked(
    session: Session, query: Select[Any], column: InstrumentedAttribute[int], values: Iterable[int]
) -> Iterator[Any]:
    wanted = sorted(set(values))
    for start in range(0, len(wanted), _CHUNK):
        yield from session.execute(query.where(column.in_(wanted[start : start + _CHUNK])))
