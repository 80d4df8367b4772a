"""Tables of the ledger: what was planned, what was done; the schema is the truth.

Class names end in Row, because rows carry no behaviour: no row reads or
writes a file. Indices are zero-based, except `job`, which counts from 1 as
people do.
"""

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

from imextract.database.states import FILE_STATES, PLANE_STATES
from imextract.database.types import FileName, Id, UtcTime

__all__ = [
    "AcquisitionRow",
    "Base",
    "BatchRow",
    "BatchRunRow",
    "ChannelImageFileRow",
    "ChannelRow",
    "CycleRow",
    "ExperimentRow",
    "LeaseRow",
    "MicroscopeImageFileRow",
    "MicroscopeMetadataFileRow",
    "PlateRow",
    "SiteRow",
    "SourcePlaneRow",
    "WellRow",
]


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


class Base(DeclarativeBase):
    """Base of all tables; names every constraint, so that migrations can."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: dict[Any, Any] = {  # noqa: RUF012  SQLAlchemy's own spelling
        str: Text,
        dt.datetime: UtcTime,
    }

    id: Mapped[int] = mapped_column(Id, primary_key=True)


def _parent(table: str) -> MappedColumn[int]:
    return mapped_column(Id, ForeignKey(f"{table}.id", ondelete="CASCADE"))


class ExperimentRow(Base):
    """An experiment: plates of one study.

    `storage_key` names its folder of planes, `discarded_key` one that has
    been given up and is yet to be deleted.
    """

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("storage_key"))

    name: Mapped[str]
    storage_key: Mapped[str] = mapped_column(String(64))
    discarded_key: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[dt.datetime]


class PlateRow(Base):
    """A plate; images of other origin hang on a plate of one well."""

    __tablename__ = "plates"
    __table_args__ = (UniqueConstraint("experiment_id", "name"),)

    experiment_id: Mapped[int] = _parent("experiments")
    name: Mapped[str]


class WellRow(Base):
    """A well, named as printed on plates: A01, P24, AA01."""

    __tablename__ = "wells"
    __table_args__ = (
        UniqueConstraint("plate_id", "row", "column"),
        CheckConstraint('"row" >= 0 AND "column" >= 0', name="position"),
    )

    plate_id: Mapped[int] = _parent("plates")
    name: Mapped[str]
    row: Mapped[int]
    column: Mapped[int]


class SiteRow(Base):
    """A site of a well: its index, its grid position (y, x), its size in pixels."""

    __tablename__ = "sites"
    __table_args__ = (
        UniqueConstraint("well_id", "index"),
        CheckConstraint('"index" >= 0 AND y >= 0 AND x >= 0', name="position"),
        CheckConstraint("height > 0 AND width > 0", name="size"),
    )

    well_id: Mapped[int] = _parent("wells")
    index: Mapped[int]
    name: Mapped[str | None]
    y: Mapped[int]
    x: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]


class AcquisitionRow(Base):
    """An acquisition of a plate: one folder of microscope files."""

    __tablename__ = "acquisitions"
    __table_args__ = (UniqueConstraint("plate_id", "name"),)

    plate_id: Mapped[int] = _parent("plates")
    name: Mapped[str]
    folder: Mapped[str] = mapped_column(FileName)
    microscope_type: Mapped[str]
    objective: Mapped[str | None]
    registered_at: Mapped[dt.datetime]


class CycleRow(Base):
    """A multiplexing cycle of an experiment."""

    __tablename__ = "cycles"
    __table_args__ = (
        UniqueConstraint("experiment_id", "index"),
        CheckConstraint('"index" >= 0', name="index"),
    )

    experiment_id: Mapped[int] = _parent("experiments")
    index: Mapped[int]


class ChannelRow(Base):
    """A channel of an experiment; wavelengths in nm."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("experiment_id", "name"),)

    experiment_id: Mapped[int] = _parent("experiments")
    name: Mapped[str]
    excitation_nm: Mapped[float | None]
    emission_nm: Mapped[float | None]


class MicroscopeImageFileRow(Base):
    """A microscope file that planes depend on, as it was seen at registration.

    `entry_id` is the file through which this one is read; null for the entry
    itself. `holds_pixels` is false for an entry that is vendor metadata.
    `is_held` tells of a data set with planes that nobody stores, which never goes.
    `identity` is what the file was when it was proven that it may be deleted.
    `metadata_text` of an entry is its original metadata as OME-XML, compressed
    by zlib.
    """

    __tablename__ = "microscope_image_files"
    __table_args__ = (
        UniqueConstraint("acquisition_id", "path"),
        Index(None, "entry_id"),
        CheckConstraint("size_bytes >= 0", name="size"),
        _one_of("state", FILE_STATES),
    )

    acquisition_id: Mapped[int] = _parent("acquisitions")
    entry_id: Mapped[int | None] = mapped_column(
        Id, ForeignKey("microscope_image_files.id", ondelete="CASCADE")
    )
    path: Mapped[str] = mapped_column(FileName)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    holds_pixels: Mapped[bool]
    is_held: Mapped[bool] = mapped_column(default=False)
    reader: Mapped[str]
    format_name: Mapped[str]
    state: Mapped[str] = mapped_column(String(32), default="present")
    identity: Mapped[str | None]
    metadata_text: Mapped[bytes | None] = mapped_column(deferred=True)


class MicroscopeMetadataFileRow(Base):
    """Vendor metadata that is read with the entry `entry_id`; never deleted."""

    __tablename__ = "microscope_metadata_files"
    __table_args__ = (Index(None, "acquisition_id"), Index(None, "entry_id"))

    acquisition_id: Mapped[int] = _parent("acquisitions")
    entry_id: Mapped[int] = _parent("microscope_image_files")
    path: Mapped[str] = mapped_column(FileName)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)


class BatchRow(Base):
    """A job: a run job extracts planes, a collect job proves them.

    `generation` counts the calls of init; the highest one is the current.
    `is_apart` says that the planes are extracted beside the process of the
    job, because one of them may end it.
    """

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("experiment_id", "phase", "generation", "job"),
        _one_of("phase", ("run", "collect")),
        CheckConstraint("job >= 1 AND generation >= 1", name="count"),
    )

    experiment_id: Mapped[int] = _parent("experiments")
    phase: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int]
    job: Mapped[int]
    site_count: Mapped[int]
    plane_count: Mapped[int]
    compression: Mapped[str] = mapped_column(String(16))
    deletes: Mapped[bool]
    is_apart: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime]


class BatchRunRow(Base):
    """One go at a batch, by whomever: state, counts, log.

    `is_apart` says that planes were extracted beside the process of the job.
    """

    __tablename__ = "batch_runs"
    __table_args__ = (
        Index(None, "batch_id"),
        _one_of("state", ("running", "done", "failed", "lost")),
    )

    batch_id: Mapped[int] = _parent("batches")
    state: Mapped[str] = mapped_column(String(16))
    host: Mapped[str]
    process: Mapped[int]
    is_apart: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
    extracted: Mapped[int] = mapped_column(default=0)
    already_there: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    bytes_in: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_out: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str | None]
    log: Mapped[str] = mapped_column(default="")


class LeaseRow(Base):
    """Who works on an experiment just now, or, with `batch_id`, on one batch of it.

    `beats` rises while the owner lives. `process_started` is in ticks of its
    `machine`, see `imextract.processes`.
    """

    __tablename__ = "leases"
    __table_args__ = (
        UniqueConstraint("token"),
        Index(None, "experiment_id"),
        Index(None, "batch_id"),
    )

    experiment_id: Mapped[int] = _parent("experiments")
    batch_id: Mapped[int | None] = mapped_column(Id, ForeignKey("batches.id", ondelete="CASCADE"))
    token: Mapped[str] = mapped_column(String(32))
    purpose: Mapped[str]
    host: Mapped[str]
    machine: Mapped[str]
    process: Mapped[int]
    process_started: Mapped[int] = mapped_column(BigInteger)
    beats: Mapped[int] = mapped_column(BigInteger, default=0)
    taken_at: Mapped[dt.datetime]


class ChannelImageFileRow(Base):
    """One plane to store: its place in the experiment, its state, its stored file.

    `is_deadly` marks a failed one that ended the processes that extracted it.
    """

    __tablename__ = "channel_image_files"
    __table_args__ = (
        UniqueConstraint(
            "site_id",
            "channel_id",
            "cycle_id",
            "tpoint",
            "zplane",
            "acquisition_id",
            # The name by convention would be longer than PostgreSQL allows.
            name="uq_channel_image_files_plane",
        ),
        # Pages of planes are read in the order of their ids.
        Index(None, "acquisition_id", "id"),
        Index(None, "acquisition_id", "state", "id"),
        Index(None, "batch_id"),
        _one_of("state", PLANE_STATES),
        CheckConstraint("tpoint >= 0 AND zplane >= 0", name="position"),
        CheckConstraint("height > 0 AND width > 0", name="size"),
        CheckConstraint(
            "state <> 'extracted' OR (location IS NOT NULL AND checksum IS NOT NULL "
            "AND stored_bytes IS NOT NULL AND stored_checksum IS NOT NULL)",
            name="extracted_is_proven",
        ),
        CheckConstraint("state <> 'failed' OR error IS NOT NULL", name="failed_has_reason"),
        # An id names a file for ever: that of a forgotten plane must not be given again.
        {"sqlite_autoincrement": True},
    )

    acquisition_id: Mapped[int] = _parent("acquisitions")
    site_id: Mapped[int] = _parent("sites")
    cycle_id: Mapped[int] = _parent("cycles")
    channel_id: Mapped[int] = _parent("channels")
    tpoint: Mapped[int]
    zplane: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    dtype: Mapped[str] = mapped_column(String(16))
    pixel_size_x_um: Mapped[float | None]
    pixel_size_y_um: Mapped[float | None]
    pixel_size_z_um: Mapped[float | None]
    stage_x_um: Mapped[float | None]
    stage_y_um: Mapped[float | None]
    stage_z_um: Mapped[float | None]
    time_stamp_s: Mapped[float | None]
    exposure_ms: Mapped[float | None]

    state: Mapped[str] = mapped_column(String(16), default="planned")
    batch_id: Mapped[int | None] = mapped_column(Id, ForeignKey("batches.id", ondelete="SET NULL"))
    location: Mapped[str | None]
    compression: Mapped[str | None] = mapped_column(String(16))
    checksum: Mapped[str | None] = mapped_column(String(32))
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    stored_checksum: Mapped[str | None] = mapped_column(String(32))
    is_suspect: Mapped[bool] = mapped_column(default=False)
    is_deadly: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None]
    extracted_at: Mapped[dt.datetime | None]


class SourcePlaneRow(Base):
    """A plane of a microscope file that a channel image file is made from.

    Several, ordered by `position`, are projected.
    """

    __tablename__ = "source_planes"
    __table_args__ = (
        UniqueConstraint("channel_image_file_id", "position"),
        Index(None, "microscope_image_file_id"),
        CheckConstraint('series >= 0 AND plane >= 0 AND "position" >= 0', name="index"),
    )

    channel_image_file_id: Mapped[int] = _parent("channel_image_files")
    microscope_image_file_id: Mapped[int] = _parent("microscope_image_files")
    position: Mapped[int]
    series: Mapped[int]
    plane: Mapped[int]
