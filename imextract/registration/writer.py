"""Writing a manifest to the ledger, in the caller's one transaction."""

import datetime as dt
import uuid
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from imextract.database.experiments import get_experiment
from imextract.database.models import (
    AcquisitionRow,
    Base,
    ChannelImageFileRow,
    ChannelRow,
    CycleRow,
    ExperimentRow,
    MicroscopeImageFileRow,
    MicroscopeMetadataFileRow,
    PlateRow,
    SiteRow,
    SourcePlaneRow,
    WellRow,
)
from imextract.errors import RegistrationError
from imextract.registration.manifest import DataSet, Manifest, ManifestRow, SiteKey, SourceFile
from imextract.registration.wells import parse_well_name

__all__ = ["write_manifest"]

_CHUNK = 5_000

# The columns that make a plane unique.
_KEY = ("site_id", "channel_id", "cycle_id", "tpoint", "zplane", "acquisition_id")

Values: TypeAlias = dict[str, Any]
PlannedPlane: TypeAlias = tuple[Values, list[Values]]

_COPIED = (
    "height",
    "width",
    "dtype",
    "pixel_size_x_um",
    "pixel_size_y_um",
    "pixel_size_z_um",
    "stage_x_um",
    "stage_y_um",
    "stage_z_um",
    "time_stamp_s",
    "exposure_ms",
)


def write_manifest(
    session: Session,
    manifest: Manifest,
    *,
    name: str,
    experiment_id: int | None,
    projects: bool,
) -> int:
    """Write a manifest and give the id of its experiment.

    What is there already, by the same names, is used; planes that are there
    already are left as they are, so that registering again adds what is new.

    Parameters
    ----------
    name
        Name of a new experiment, or of that which holds this folder already.
    experiment_id
        The experiment to add to; None to go by the name.
    projects
        Plan one maximum projection for all z-planes instead of one plane each.

    Raises
    ------
    RegistrationError
        If the name is taken, an acquisition is of another folder, a file
        changed after its extraction, or a plane comes twice.
    UnknownExperimentError
    """
    experiment = _experiment(session, manifest, name, experiment_id)
    _Writer(session, manifest, experiment.id).write(projects)
    return experiment.id


def _experiment(
    session: Session, manifest: Manifest, name: str, experiment_id: int | None
) -> ExperimentRow:
    if experiment_id is not None:
        return get_experiment(session, experiment_id)
    taken = session.scalar(select(ExperimentRow).where(ExperimentRow.name == name))
    if taken is None:
        return _new_experiment(session, name)
    folders = (
        select(AcquisitionRow.folder)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(PlateRow.experiment_id == taken.id)
    )
    if str(manifest.folder) in session.scalars(folders).all():
        return taken
    raise RegistrationError(
        f"the name {name!r} is taken by experiment {taken.id}, of another folder; choose another "
        f"name, or add to that experiment with --experiment {taken.id}"
    )


def _new_experiment(session: Session, name: str) -> ExperimentRow:
    token = uuid.uuid4().hex
    experiment = ExperimentRow(name=name, storage_key=token, created_at=dt.datetime.now(dt.UTC))
    session.add(experiment)
    session.flush()
    # The token keeps folders apart should a new database count from 1 again.
    experiment.storage_key = f"{experiment.id}-{token[:12]}"
    return experiment


class _Writer:
    """Finds or makes the row of everything that a manifest names, once each."""

    def __init__(self, session: Session, manifest: Manifest, experiment_id: int) -> None:
        self._session = session
        self._manifest = manifest
        self._experiment_id = experiment_id
        self._data_sets = {data_set.entry.path: data_set for data_set in manifest.data_sets}
        self._ids: dict[tuple[Any, ...], int] = {}
        self._new_acquisitions: set[int] = set()

    def write(self, projects: bool) -> None:
        planes = self._projected() if projects else self._planes()
        while chunk := list(islice(planes, _CHUNK)):
            self._insert(chunk)

    def _planes(self) -> Iterator[PlannedPlane]:
        for row in self._manifest.rows():
            yield self._plane(row), [self._source(row, 0)]

    def _projected(self) -> Iterator[PlannedPlane]:
        # Sources of one projection may lie far apart, so all are gathered first.
        gathered: dict[tuple[int, ...], tuple[Values, list[tuple[int, Values]]]] = {}
        for row in self._manifest.rows():
            values = self._plane(row) | {"zplane": 0}
            _, sources = gathered.setdefault(_key(values), (values, []))
            sources.append((row.zplane, self._source(row, 0)))
        for values, sources in gathered.values():
            ordered = [source for _, source in sorted(sources, key=lambda pair: pair[0])]
            yield values, [source | {"position": n} for n, source in enumerate(ordered)]

    def _plane(self, row: ManifestRow) -> Values:
        return {
            "acquisition_id": self._acquisition(row.site.plate, row.acquisition),
            "site_id": self._site(row.site),
            "cycle_id": self._find(CycleRow, experiment_id=self._experiment_id, index=row.cycle),
            "channel_id": self._channel(row.channel),
            "tpoint": row.tpoint,
            "zplane": row.zplane,
        } | {column: getattr(row, column) for column in _COPIED}

    def _source(self, row: ManifestRow, position: int) -> Values:
        return {
            "microscope_image_file_id": self._entry(row),
            "position": position,
            "series": row.ref.series,
            "plane": row.ref.plane,
        }

    def _insert(self, planes: Sequence[PlannedPlane]) -> None:
        columns = [getattr(ChannelImageFileRow, column) for column in ("id", *_KEY)]
        added = self._session.execute(
            self._insert_or_leave().returning(*columns), [values for values, _ in planes]
        )
        ids = {tuple(key): plane_id for plane_id, *key in added}
        self._refuse_duplicates(planes, ids)
        sources = [
            source | {"channel_image_file_id": ids[_key(values)]}
            for values, sources in planes
            if _key(values) in ids
            for source in sources
        ]
        if sources:
            self._session.execute(insert(SourcePlaneRow), sources)

    def _insert_or_leave(self) -> sqlite.Insert | postgresql.Insert:
        if self._session.get_bind().dialect.name == "sqlite":
            return sqlite.insert(ChannelImageFileRow).on_conflict_do_nothing()
        return postgresql.insert(ChannelImageFileRow).on_conflict_do_nothing()

    def _refuse_duplicates(
        self, planes: Sequence[PlannedPlane], ids: dict[tuple[int, ...], int]
    ) -> None:
        new = [values for values, _ in planes if values["acquisition_id"] in self._new_acquisitions]
        if len({_key(values) for values in new} & ids.keys()) != len(new):
            raise RegistrationError(
                f"{self._manifest.folder}: two planes of one acquisition have the same site, "
                "channel, cycle, tpoint and zplane; nothing was registered"
            )

    def _acquisition(self, plate: str, name: str) -> int:
        key = (AcquisitionRow, plate, name)
        if key not in self._ids:
            self._ids[key] = self._find_acquisition(plate, name)
        return self._ids[key]

    def _find_acquisition(self, plate: str, name: str) -> int:
        plate_id = self._find(PlateRow, experiment_id=self._experiment_id, name=_text(plate))
        row = self._session.scalar(
            select(AcquisitionRow).where(
                AcquisitionRow.plate_id == plate_id, AcquisitionRow.name == _text(name)
            )
        )
        if row is None:
            row = AcquisitionRow(
                plate_id=plate_id,
                name=_text(name),
                folder=str(self._manifest.folder),
                microscope_type=self._manifest.microscope_type,
                registered_at=dt.datetime.now(dt.UTC),
            )
            self._session.add(row)
            self._session.flush()
            self._new_acquisitions.add(row.id)
        elif row.folder != str(self._manifest.folder):
            raise RegistrationError(
                f"plate {plate!r} has an acquisition {name!r} already, of the folder {row.folder}; "
                "give this one another name with --acquisition"
            )
        return row.id

    def _site(self, site: SiteKey) -> int:
        key = (SiteRow, site)
        if key not in self._ids:
            info = self._manifest.sites[site]
            well_row, well_column = parse_well_name(site.well)
            plate_id = self._find(
                PlateRow, experiment_id=self._experiment_id, name=_text(site.plate)
            )
            well_id = self._find(
                WellRow,
                {"name": site.well},
                plate_id=plate_id,
                row=well_row,
                column=well_column,
            )
            more = {
                "name": None if info.name is None else _text(info.name),
                "y": info.y,
                "x": info.x,
                "height": info.height,
                "width": info.width,
            }
            self._ids[key] = self._find(SiteRow, more, well_id=well_id, index=site.site)
        return self._ids[key]

    def _channel(self, name: str) -> int:
        info = self._manifest.channels[name]
        more = {"excitation_nm": info.excitation_nm, "emission_nm": info.emission_nm}
        return self._find(
            ChannelRow, more, experiment_id=self._experiment_id, name=_text(info.name)
        )

    def _entry(self, row: ManifestRow) -> int:
        acquisition_id = self._acquisition(row.site.plate, row.acquisition)
        key = (MicroscopeImageFileRow, acquisition_id, row.source_file)
        if key not in self._ids:
            data_set = self._data_sets[row.source_file]
            self._ids[key] = self._find_data_set(acquisition_id, data_set)
        return self._ids[key]

    def _find_data_set(self, acquisition_id: int, data_set: DataSet) -> int:
        if acquisition_id not in self._new_acquisitions:
            known = self._known_entry(acquisition_id, data_set)
            if known is not None:
                return known
        common = {
            "acquisition_id": acquisition_id,
            "reader": data_set.reader,
            "format_name": data_set.format_name,
        }
        text = data_set.metadata_text
        entry = MicroscopeImageFileRow(
            **common,
            **_seen(data_set.entry),
            holds_pixels=data_set.entry.holds_pixels,
            metadata_text=None if text is None else zlib.compress(text.encode("utf-8", "replace")),
        )
        self._session.add(entry)
        self._session.flush()
        images = [
            {**common, **_seen(file), "entry_id": entry.id, "holds_pixels": True}
            for file in data_set.companions
            if file.holds_pixels
        ]
        metadata = [
            {"acquisition_id": acquisition_id, "entry_id": entry.id, **_seen(file)}
            for file in data_set.companions
            if not file.holds_pixels
        ]
        if images:
            self._session.execute(insert(MicroscopeImageFileRow), images)
        if metadata:
            self._session.execute(insert(MicroscopeMetadataFileRow), metadata)
        return entry.id

    def _known_entry(self, acquisition_id: int, data_set: DataSet) -> int | None:
        """Give the entry of a data set registered before; forget it if its files changed."""
        entry = self._session.scalar(
            select(MicroscopeImageFileRow).where(
                MicroscopeImageFileRow.acquisition_id == acquisition_id,
                MicroscopeImageFileRow.path == data_set.entry.path,
            )
        )
        if entry is None:
            return None
        if self._seen_before(entry) == {
            (file.path, file.size_bytes, file.mtime_ns)
            for file in (data_set.entry, *data_set.companions)
        }:
            return entry.id
        self._forget(entry)
        return None

    def _seen_before(self, entry: MicroscopeImageFileRow) -> set[tuple[str, int, int]]:
        seen = {(entry.path, entry.size_bytes, entry.mtime_ns)}
        for table in (MicroscopeImageFileRow, MicroscopeMetadataFileRow):
            columns = (table.path, table.size_bytes, table.mtime_ns)
            query = select(*columns).where(table.entry_id == entry.id)
            seen |= {(path, size, time) for path, size, time in self._session.execute(query)}
        return seen

    def _forget(self, entry: MicroscopeImageFileRow) -> None:
        dependent = select(SourcePlaneRow.channel_image_file_id).where(
            SourcePlaneRow.microscope_image_file_id == entry.id
        )
        extracted = self._session.scalar(
            select(ChannelImageFileRow.id).where(
                ChannelImageFileRow.id.in_(dependent), ChannelImageFileRow.state == "extracted"
            )
        )
        if extracted is not None:
            raise RegistrationError(
                f"{self._manifest.folder / entry.path}: the file, or one that belongs to it, has "
                "changed since its planes were extracted; what was extracted is kept. Register "
                "the folder as a new experiment, or with another --acquisition name"
            )
        self._session.execute(
            delete(ChannelImageFileRow).where(ChannelImageFileRow.id.in_(dependent))
        )
        self._session.delete(entry)
        self._session.flush()

    def _find(self, model: type[Base], more: Values | None = None, /, **key: int | str) -> int:
        """Give the id of the row with these unique values; make it where there is none."""
        known = (model, *key.values())
        if known not in self._ids:
            row_id = self._session.scalar(select(model.id).filter_by(**key))
            if row_id is None:
                row = model(**key, **(more or {}))
                self._session.add(row)
                self._session.flush()
                row_id = row.id
            self._ids[known] = row_id
        return self._ids[known]


def _key(values: Values) -> tuple[int, ...]:
    return tuple(values[column] for column in _KEY)


def _seen(file: SourceFile) -> Values:
    return {"path": file.path, "size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}


def _text(name: str) -> str:
    # Names made from file names may hold bytes that no database takes.
    return name.encode("utf-8", "replace").decode().replace("\0", "")
