"""Queries about planes: what a batch extracts, what an experiment holds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, or_, select, update
from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids, get_experiment
from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    ChannelRow,
    CycleRow,
    ExperimentRow,
    MicroscopeImageFileRow,
    PlateRow,
    SiteRow,
    SourcePlaneRow,
    WellRow,
)
from imextract.database.session import Database
from imextract.planes import PlaneRef

__all__ = [
    "NOT_STORED",
    "PlaneFilter",
    "PlaneRecord",
    "SourcePlane",
    "find_planes",
    "plan_again",
    "plane_location",
    "planes_of_batch",
    "planes_of_entry",
    "read_planes",
    "record_outcomes",
    "stored_planes",
    "update_planes",
    "without_originals",
]

# As many ids as are bound in one statement; SQLite of old takes 999.
_CHUNK = 900

Plane = ChannelImageFileRow

# What a plane's row holds of its stored file while there is none.
NOT_STORED = {
    "state": "planned",
    "location": None,
    "compression": None,
    "checksum": None,
    "stored_bytes": None,
    "stored_checksum": None,
    "is_suspect": False,
    "error": None,
    "extracted_at": None,
}


@dataclass(frozen=True, slots=True)
class SourcePlane:
    """A plane of a microscope file, which was of this size and time when registered.

    `entry_id` is the row of the file, through which the plane is read.
    """

    entry_id: int
    source_file: Path
    ref: PlaneRef
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class PlaneRecord:
    """All that the ledger knows of one channel image file."""

    id: int
    experiment_id: int
    experiment: str
    storage_key: str
    plate: str
    well: str
    site: int
    site_name: str | None
    site_y: int
    site_x: int
    acquisition: str
    objective: str | None
    cycle: int
    channel: str
    excitation_nm: float | None
    emission_nm: float | None
    tpoint: int
    zplane: int
    height: int
    width: int
    dtype: str
    pixel_size_x_um: float | None
    pixel_size_y_um: float | None
    pixel_size_z_um: float | None
    stage_x_um: float | None
    stage_y_um: float | None
    stage_z_um: float | None
    time_stamp_s: float | None
    exposure_ms: float | None
    state: str
    location: str | None
    compression: str | None
    checksum: str | None
    stored_bytes: int | None
    stored_checksum: str | None
    is_suspect: bool
    error: str | None
    sources: tuple[SourcePlane, ...]

    @property
    def name(self) -> str:
        """What people call the plane: its plate, well, site, channel, tpoint and zplane."""
        return (
            f"{self.plate} {self.well} site {self.site} {self.channel} "
            f"t{self.tpoint} z{self.zplane}"
        )


@dataclass(frozen=True, slots=True)
class PlaneFilter:
    """Which planes of an experiment are asked for; None asks for all."""

    state: str | None = None
    plate: str | None = None
    well: str | None = None
    site: int | None = None
    acquisition: str | None = None
    cycle: int | None = None
    channel: str | None = None
    tpoint: int | None = None
    zplane: int | None = None
    is_suspect: bool | None = None

    def conditions(self) -> list[Any]:
        """Give the conditions of a query."""
        columns = {
            Plane.state: self.state,
            PlateRow.name: self.plate,
            WellRow.name: self.well,
            SiteRow.index: self.site,
            AcquisitionRow.name: self.acquisition,
            CycleRow.index: self.cycle,
            ChannelRow.name: self.channel,
            Plane.tpoint: self.tpoint,
            Plane.zplane: self.zplane,
            Plane.is_suspect: self.is_suspect,
        }
        return [column == value for column, value in columns.items() if value is not None]


def plane_location(storage_key: str, plane_id: int) -> str:
    """Give where a plane is stored: ids only, at most a thousand entries a folder."""
    millions, rest = divmod(plane_id, 1_000_000)
    return f"{storage_key}/{millions:03d}/{rest // 1000:03d}/{plane_id}.h5"


def find_planes(
    database: Database, experiment_id: int, wanted: PlaneFilter | None = None
) -> Iterator[PlaneRecord]:
    """Give the planes of an experiment, acquisition by acquisition, in the order of their ids.

    Each page of them is a transaction of its own, so that whoever takes long
    over a plane holds up nobody.

    Raises
    ------
    UnknownExperimentError, LedgerError
    """
    with database.reading() as session:
        get_experiment(session, experiment_id)
        acquisitions = acquisition_ids(session, experiment_id)
    query = _records().where(*(wanted or PlaneFilter()).conditions()).order_by(Plane.id)
    for acquisition_id in acquisitions:
        last = 0
        while True:
            page = query.where(Plane.acquisition_id == acquisition_id, Plane.id > last)
            with database.reading() as session:
                rows = session.execute(page.limit(_CHUNK)).mappings().all()
                records = _with_sources(session, rows)
            if not records:
                break
            yield from records
            last = records[-1].id


def planes_of_batch(
    session: Session, batch_id: int, states: Sequence[str] | None = None
) -> list[PlaneRecord]:
    """Give the planes of a batch, by state if asked, in the order of their ids."""
    query = _records().where(Plane.batch_id == batch_id).order_by(Plane.id)
    if states is not None:
        query = query.where(Plane.state.in_(states))
    return _with_sources(session, session.execute(query).mappings().all())


def planes_of_entry(session: Session, entry_ids: Iterable[int]) -> list[PlaneRecord]:
    """Give the planes that depend on any of these entries."""
    depends = select(SourcePlaneRow.channel_image_file_id).where(
        SourcePlaneRow.microscope_image_file_id.in_(list(entry_ids))
    )
    query = _records().where(Plane.id.in_(depends)).order_by(Plane.id)
    return _with_sources(session, session.execute(query).mappings().all())


def read_planes(session: Session, plane_ids: Sequence[int]) -> list[PlaneRecord]:
    """Give planes by their ids; those that do not exist are left out."""
    rows: list[RowMapping] = []
    for start in range(0, len(plane_ids), _CHUNK):
        chunk = plane_ids[start : start + _CHUNK]
        rows += session.execute(_records().where(Plane.id.in_(chunk))).mappings().all()
    return _with_sources(session, rows)


def stored_planes(session: Session, experiment_id: int) -> Iterator[tuple[int, str, int]]:
    """Give id, location and size in bytes of every extracted plane, by id."""
    query = (
        select(Plane.id, Plane.location, Plane.stored_bytes)
        .where(
            Plane.acquisition_id.in_(acquisition_ids(session, experiment_id)),
            Plane.state == "extracted",
        )
        .order_by(Plane.id)
        .execution_options(yield_per=10_000)
    )
    for plane_id, location, stored_bytes in session.execute(query):
        yield plane_id, str(location), int(stored_bytes or 0)


def without_originals(session: Session, plane_ids: Sequence[int]) -> set[int]:
    """Give those planes of which a microscope file is deleted, or about to be."""
    found: set[int] = set()
    entry, file = SourcePlaneRow.microscope_image_file_id, MicroscopeImageFileRow
    for start in range(0, len(plane_ids), _CHUNK):
        query = (
            select(SourcePlaneRow.channel_image_file_id)
            .join(file, or_(file.id == entry, file.entry_id == entry))
            .where(
                SourcePlaneRow.channel_image_file_id.in_(plane_ids[start : start + _CHUNK]),
                file.state != "present",
            )
        )
        found.update(session.scalars(query))
    return found


def plan_again(session: Session, experiment_id: int) -> int:
    """Set all planes of an experiment, but absent ones, back to planned; give their count."""
    changed = session.execute(
        update(Plane)
        .where(
            Plane.acquisition_id.in_(acquisition_ids(session, experiment_id)),
            Plane.state != "absent",
        )
        .values(**NOT_STORED, batch_id=None)
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]  # a cursor result, as of any UPDATE


def record_outcomes(session: Session, batch_id: int, changes: Sequence[Mapping[str, Any]]) -> None:
    """Change planes of a batch, each given as its `id` and the columns to set.

    Not those that are extracted already, nor those that are in another batch
    by now, or in none: who comes late changes nothing.
    """
    if changes:
        # Not as a list, which cannot be sent for many planes at once.
        is_open = or_(Plane.state == "planned", Plane.state == "failed")
        guarded = update(Plane.__table__).where(  # type: ignore[arg-type]  # a table, as of any model
            Plane.id == bindparam("plane_id"), Plane.batch_id == batch_id, is_open
        )
        rows = [{("plane_id" if k == "id" else k): v for k, v in c.items()} for c in changes]
        session.connection().execute(guarded, rows)


def update_planes(session: Session, plane_ids: Sequence[int], **values: object) -> None:
    """Set columns of planes to the same values, however many planes there are."""
    for start in range(0, len(plane_ids), _CHUNK):
        session.execute(
            update(Plane)
            .where(Plane.id.in_(plane_ids[start : start + _CHUNK]))
            .values(**values)
            .execution_options(synchronize_session=False)
        )


def _records() -> Select[Any]:
    wanted = {field.name for field in fields(PlaneRecord)}
    planes = [column for column in Plane.__table__.columns if column.name in wanted]
    return (
        select(
            *planes,
            ExperimentRow.id.label("experiment_id"),
            ExperimentRow.name.label("experiment"),
            ExperimentRow.storage_key,
            PlateRow.name.label("plate"),
            WellRow.name.label("well"),
            SiteRow.index.label("site"),
            SiteRow.name.label("site_name"),
            SiteRow.y.label("site_y"),
            SiteRow.x.label("site_x"),
            AcquisitionRow.name.label("acquisition"),
            AcquisitionRow.objective,
            CycleRow.index.label("cycle"),
            ChannelRow.name.label("channel"),
            ChannelRow.excitation_nm,
            ChannelRow.emission_nm,
        )
        .join(AcquisitionRow, AcquisitionRow.id == Plane.acquisition_id)
        .join(SiteRow, SiteRow.id == Plane.site_id)
        .join(WellRow, WellRow.id == SiteRow.well_id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .join(ExperimentRow, ExperimentRow.id == PlateRow.experiment_id)
        .join(CycleRow, CycleRow.id == Plane.cycle_id)
        .join(ChannelRow, ChannelRow.id == Plane.channel_id)
    )


def _with_sources(session: Session, rows: Sequence[RowMapping]) -> list[PlaneRecord]:
    ids = [row["id"] for row in rows]
    sources: dict[int, list[SourcePlane]] = defaultdict(list)
    # A file may hold many planes, and making a path takes longer than all else of one.
    files: dict[int, Path] = {}
    for start in range(0, len(ids), _CHUNK):
        query = (
            select(
                SourcePlaneRow.channel_image_file_id,
                SourcePlaneRow.microscope_image_file_id,
                AcquisitionRow.folder,
                MicroscopeImageFileRow.path,
                SourcePlaneRow.series,
                SourcePlaneRow.plane,
                MicroscopeImageFileRow.size_bytes,
                MicroscopeImageFileRow.mtime_ns,
            )
            .join(
                MicroscopeImageFileRow,
                MicroscopeImageFileRow.id == SourcePlaneRow.microscope_image_file_id,
            )
            .join(AcquisitionRow, AcquisitionRow.id == MicroscopeImageFileRow.acquisition_id)
            .where(SourcePlaneRow.channel_image_file_id.in_(ids[start : start + _CHUNK]))
            .order_by(SourcePlaneRow.channel_image_file_id, SourcePlaneRow.position)
        )
        for plane_id, entry_id, folder, path, series, plane, *seen in session.execute(query):
            if entry_id not in files:
                files[entry_id] = Path(folder, path)
            ref = PlaneRef(series, plane)
            sources[plane_id].append(SourcePlane(entry_id, files[entry_id], ref, *seen))
    return [PlaneRecord(**row, sources=tuple(sources[row["id"]])) for row in rows]
