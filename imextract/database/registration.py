"""Writing a manifest to the ledger, in the caller's one transaction."""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from imextract.database.data_sets import add_data_set, known_entry
from imextract.database.experiments import get_experiment
from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    ExperimentRow,
    PlateRow,
    SourcePlaneRow,
)
from imextract.database.parts import Parts
from imextract.errors import RegistrationError
from imextract.registration.manifest import Manifest, ManifestRow

__all__ = ["write_manifest"]

_CHUNK = 5_000

# The columns that make a plane unique.
_KEY = ("site_id", "channel_id", "cycle_id", "tpoint", "zplane", "acquisition_id")

# The columns that say where it comes from.
_SOURCE = (SourcePlaneRow.microscope_image_file_id, SourcePlaneRow.series, SourcePlaneRow.plane)

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
    """Writes planes, and with each what it hangs on."""

    def __init__(self, session: Session, manifest: Manifest, experiment_id: int) -> None:
        self._session = session
        self._manifest = manifest
        self._parts = Parts(session, manifest, experiment_id)
        self._data_sets = {data_set.entry.path: data_set for data_set in manifest.data_sets}
        self._entries: dict[tuple[int, str], int] = {}

    def write(self, projects: bool) -> None:
        planes = self._projected() if projects else self._planes()
        while chunk := list(islice(planes, _CHUNK)):
            self._insert(chunk)

    def _planes(self) -> Iterator[PlannedPlane]:
        for row in self._manifest.rows():
            yield self._plane(row), self._sources(row)

    def _projected(self) -> Iterator[PlannedPlane]:
        # Sources of one projection may lie far apart, so all are gathered first.
        gathered: dict[tuple[int, ...], tuple[Values, list[tuple[int, Values]]]] = {}
        for row in self._manifest.rows():
            values = self._plane(row) | {"zplane": 0}
            _, sources = gathered.setdefault(_key(values), (values, []))
            sources.extend((row.zplane, source) for source in self._sources(row))
        for values, sources in gathered.values():
            values["state"] = "planned" if sources else "absent"
            ordered = [source for _, source in sorted(sources, key=lambda pair: pair[0])]
            yield values, [source | {"position": n} for n, source in enumerate(ordered)]

    def _plane(self, row: ManifestRow) -> Values:
        return {
            "acquisition_id": self._parts.acquisition(row.site.plate, row.acquisition),
            "site_id": self._parts.site(row.site),
            "cycle_id": self._parts.cycle(row.cycle),
            "channel_id": self._parts.channel(row.channel),
            "tpoint": row.tpoint,
            "zplane": row.zplane,
            "state": "absent" if row.source is None else "planned",
        } | {column: getattr(row, column) for column in _COPIED}

    def _sources(self, row: ManifestRow) -> list[Values]:
        if row.source is None:
            return []
        file, ref = row.source
        entry = self._entry(row.site.plate, row.acquisition, file)
        place = {"position": 0, "series": ref.series, "plane": ref.plane}
        return [{"microscope_image_file_id": entry, **place}]

    def _insert(self, planes: Sequence[PlannedPlane]) -> None:
        columns = [getattr(ChannelImageFileRow, column) for column in ("id", *_KEY)]
        added = self._session.execute(
            self._insert_or_leave().returning(*columns), [values for values, _ in planes]
        )
        ids = {tuple(key): plane_id for plane_id, *key in added}
        self._refuse_duplicates(planes, ids)
        self._refuse_other_sources([plane for plane in planes if _key(plane[0]) not in ids])
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
        new = [
            values
            for values, _ in planes
            if values["acquisition_id"] in self._parts.new_acquisitions
        ]
        if len({_key(values) for values in new} & ids.keys()) != len(new):
            raise RegistrationError(
                f"{self._manifest.folder}: two planes of one acquisition have the same site, "
                "channel, cycle, tpoint and zplane; nothing was registered"
            )

    def _refuse_other_sources(self, planes: Sequence[PlannedPlane]) -> None:
        """Make sure that a plane which is there already comes from where it came before."""
        known: dict[tuple[int, ...], set[tuple[int, ...]]] = defaultdict(set)
        query = (
            select(*(getattr(ChannelImageFileRow, name) for name in _KEY), *_SOURCE)
            .join(SourcePlaneRow, SourcePlaneRow.channel_image_file_id == ChannelImageFileRow.id)
            .where(ChannelImageFileRow.site_id.in_({values["site_id"] for values, _ in planes}))
        )
        for *key, entry_id, series, plane in self._session.execute(query) if planes else ():
            known[tuple(key)].add((entry_id, series, plane))
        for values, sources in planes:
            now = {tuple(source[column.key] for column in _SOURCE) for source in sources}
            if now != known[_key(values)]:
                entries = {entry_id: path for (_, path), entry_id in self._entries.items()}
                file = entries[sources[0]["microscope_image_file_id"]]
                raise RegistrationError(
                    f"{self._manifest.folder / file}: its place in the experiment is taken by "
                    "another plane since the folder was first registered, as happens when a new "
                    "file sorts between old ones; register the folder as a new experiment, or with "
                    "another --acquisition name"
                )

    def _entry(self, plate: str, acquisition: str, file: str) -> int:
        acquisition_id = self._parts.acquisition(plate, acquisition)
        key = (acquisition_id, file)
        if key not in self._entries:
            data_set = self._data_sets[file]
            known = None
            if acquisition_id not in self._parts.new_acquisitions:
                known = known_entry(self._session, acquisition_id, data_set, self._manifest.folder)
            self._entries[key] = known or add_data_set(self._session, acquisition_id, data_set)
        return self._entries[key]


def _key(values: Values) -> tuple[int, ...]:
    return tuple(values[column] for column in _KEY)
