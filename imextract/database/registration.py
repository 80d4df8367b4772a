"""Writing a manifest to the ledger, in the caller's one transaction."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imextract.database.data_sets import DataSetRows
from imextract.database.experiments import get_experiment, new_storage_key
from imextract.database.ids import Ids, insert_tuples
from imextract.database.known_acquisitions import KnownAcquisitions
from imextract.database.known_planes import (
    KnownPlane,
    acquisitions_of_folder,
    last_tpoint_elsewhere,
    planes_by_key,
    planes_by_source,
    shared_files,
    sources_of_planes,
)
from imextract.database.models import (
    AcquisitionRow,
    ChannelImageFileRow,
    ExperimentRow,
    PlateRow,
    SourcePlaneRow,
)
from imextract.database.parts import Parts
from imextract.database.site_places import SitePlaces
from imextract.database.written import Written
from imextract.errors import RegistrationError
from imextract.planes import PlaneRef
from imextract.registration.manifest import Manifest, ManifestRow, Problem

__all__ = ["find_experiment", "write_manifest"]

_CHUNK = 5_000

_SOURCE = ("channel_image_file_id", "microscope_image_file_id", "position", "series", "plane")

# Problems of one kind that are named.
_MOST_NAMED = 20

Values: TypeAlias = dict[str, Any]

# A plane's columns, and the file and place in it of each of its sources.
PlannedPlane: TypeAlias = tuple[Values, list[tuple[str, PlaneRef]]]


def write_manifest(
    session: Session,
    manifest: Manifest,
    *,
    name: str,
    experiment_id: int | None,
    projects: bool,
) -> Written:
    """Write a manifest, and tell what that changed.

    What is there already, by the same names, is used; planes that are there
    already are left as they are and where they are, so that registering again
    adds what is new. What a person should know of that is added to the
    manifest's problems. The first tpoint of a new acquisition follows the last
    of the plate's acquisitions of other folders in the same cycle.

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
        If the name is taken, an acquisition is of another folder, a registered
        plane would move, or a plane comes twice.
    UnknownExperimentError
    """
    experiment = find_experiment(session, manifest, name, experiment_id)
    written = Written((experiment or _new_experiment(session, name)).id, is_new=experiment is None)
    _Writer(session, manifest, written, projects=projects).write()
    return written


def find_experiment(
    session: Session, manifest: Manifest, name: str, experiment_id: int | None
) -> ExperimentRow | None:
    """Give the experiment that a manifest is written to; None if it will be a new one.

    Raises
    ------
    RegistrationError
        If the name is taken.
    UnknownExperimentError
        If there is none of that id.
    """
    if experiment_id is not None:
        return get_experiment(session, experiment_id)
    taken = session.scalar(select(ExperimentRow).where(ExperimentRow.name == name))
    if taken is None:
        return None
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
    # Of experiment 0 until its id is known.
    key = new_storage_key(0)
    experiment = ExperimentRow(name=name, storage_key=key, created_at=dt.datetime.now(dt.UTC))
    session.add(experiment)
    session.flush()
    experiment.storage_key = new_storage_key(experiment.id)
    return experiment


@dataclass(slots=True)
class _Stack:
    """The planes of one projection, as they come."""

    values: Values
    sources: list[tuple[int, tuple[str, PlaneRef]]] = field(default_factory=list)
    lacks_planes: bool = False

    def add(self, row: ManifestRow) -> None:
        """Take one more plane, or note that it is absent."""
        if row.source is None:
            self.lacks_planes = True
        else:
            self.sources.append((row.zplane, row.source))

    def projection(self) -> PlannedPlane:
        """Give the projected plane: never one of a part of its stack."""
        if self.lacks_planes:
            return self.values | {"state": "absent"}, []
        self.values["state"] = "planned"
        ordered = sorted(self.sources, key=lambda pair: pair[0])
        return self.values, [source for _, source in ordered]


class _Writer:
    """Writes planes, and with each what it hangs on."""

    def __init__(
        self, session: Session, manifest: Manifest, written: Written, *, projects: bool
    ) -> None:
        self._session = session
        self._manifest = manifest
        self._written = written
        self._projects = projects
        self._ids = Ids(session)
        self._parts = Parts(session, self._ids, manifest, written.experiment_id)
        self._files = DataSetRows(session, self._ids, manifest.folder)
        self._data_sets = {data_set.entry.path: data_set for data_set in manifest.data_sets}
        self._known = KnownAcquisitions(session, self._parts, projects=projects)
        self._places = SitePlaces(session, manifest)
        self._shifts: dict[tuple[int, int], int] = {}

    def write(self) -> None:
        """Write all planes, and note what vanished."""
        known = acquisitions_of_folder(
            self._session, self._written.experiment_id, str(self._manifest.folder)
        )
        if known:
            self._learn_what_is_known()
        planes = self._projected() if self._projects else self._planes()
        while chunk := list(islice(planes, _CHUNK)):
            self._write(chunk)
        self._write_metadata()
        self._manifest.problems.extend(self._parts.problems)
        self._manifest.problems.extend(self._places.problems())
        self._manifest.problems.extend(self._known.problems())
        self._manifest.problems.extend(self._files.problems())
        self._written.changed_files = self._files.changed
        self._note_vanished(known)
        self._manifest.problems.extend(self._registered_twice(known))

    def _learn_what_is_known(self) -> None:
        """Compare the manifest with what is registered, before anything is written."""
        rows = self._manifest.rows()
        while chunk := list(islice(rows, _CHUNK)):
            found: defaultdict[int, list[ManifestRow]] = defaultdict(list)
            for row in chunk:
                acquisition_id = self._parts.known_acquisition(row.site.plate, row.acquisition)
                if acquisition_id is not None and row.source is not None:
                    found[acquisition_id].append(row)
            for acquisition_id, present in found.items():
                self._known.learn(acquisition_id, present)

    def _planes(self) -> Iterator[PlannedPlane]:
        for row in self._manifest.rows():
            source = row.source
            yield self._plane(row), [] if source is None else [source]

    def _projected(self) -> Iterator[PlannedPlane]:
        # Sources of one projection may lie far apart, so all are gathered first.
        gathered: dict[tuple[int, ...], _Stack] = {}
        for row in self._manifest.rows():
            values = self._plane(row)
            gathered.setdefault(_key(values), _Stack(values)).add(row)
        lacking = sum(stack.lacks_planes for stack in gathered.values())
        if lacking:
            text = (
                f"{lacking} z-stacks lack planes, and what is left of a stack is not projected: "
                "their projections are absent, and their files are never deleted; register without "
                "--projection to have their planes"
            )
            self._manifest.problems.append(Problem("warning", None, text))
            self._hold(stack for stack in gathered.values() if stack.lacks_planes)
        for stack in gathered.values():
            yield stack.projection()

    def _hold(self, stacks: Iterable[_Stack]) -> None:
        """Keep the files of stacks that are not projected: nobody stores their planes."""
        for path in {path for stack in stacks for _, (path, _) in stack.sources}:
            self._data_sets[path] = self._data_sets[path].held()

    def _plane(self, row: ManifestRow) -> Values:
        parts = self._parts
        acquisition_id = parts.acquisition(row.site.plate, row.acquisition)
        cycle_id = parts.cycle(row.cycle)
        if acquisition_id in parts.new_acquisitions:
            site, zplane = row.site, row.zplane
            tpoint = row.tpoint + self._shift(acquisition_id, cycle_id)
        else:
            site, tpoint, zplane = self._known.place(acquisition_id, row)
        site_id = parts.site(site, row.site)
        if acquisition_id in parts.new_acquisitions:
            self._places.compare(row, acquisition_id, site_id)
        return {
            "acquisition_id": acquisition_id,
            "site_id": site_id,
            "cycle_id": cycle_id,
            "channel_id": parts.channel(row.channel),
            "tpoint": tpoint,
            "zplane": 0 if self._projects else zplane,
            "state": "absent" if row.source_file is None else "planned",
            "height": row.height,
            "width": row.width,
            "dtype": row.dtype,
            "pixel_size_x_um": row.pixel_size_x_um,
            "pixel_size_y_um": row.pixel_size_y_um,
            "pixel_size_z_um": row.pixel_size_z_um,
            "stage_x_um": row.stage_x_um,
            "stage_y_um": row.stage_y_um,
            "stage_z_um": row.stage_z_um,
            "time_stamp_s": row.time_stamp_s,
            "exposure_ms": row.exposure_ms,
        }

    def _shift(self, acquisition_id: int, cycle_id: int) -> int:
        """Give the first tpoint of a new acquisition."""
        key = acquisition_id, cycle_id
        if key not in self._shifts:
            last = last_tpoint_elsewhere(self._session, *key)
            self._shifts[key] = 0 if last is None else last + 1
        return self._shifts[key]

    def _write(self, planes: Sequence[PlannedPlane]) -> None:
        new: list[PlannedPlane] = []
        known: list[PlannedPlane] = []
        for plane in planes:
            is_new = plane[0]["acquisition_id"] in self._parts.new_acquisitions
            (new if is_new else known).append(plane)
        self._write_files(planes)
        if known:
            new.extend(self._compare(known))
        self._insert(new)

    def _write_files(self, planes: Sequence[PlannedPlane]) -> None:
        paths: defaultdict[int, dict[str, None]] = defaultdict(dict)
        for values, sources in planes:
            paths[values["acquisition_id"]].update((path, None) for path, _ in sources)
        for acquisition_id, wanted in paths.items():
            data_sets = [self._data_sets[path] for path in wanted]
            if acquisition_id not in self._parts.new_acquisitions:
                self._files.look_up(acquisition_id, data_sets)
            self._files.add(acquisition_id, data_sets)

    def _compare(self, planes: Sequence[PlannedPlane]) -> Iterator[PlannedPlane]:
        """Give the planes that are not registered yet; fill in those that were absent."""
        sources = [self._source_keys(*plane) for plane in planes]
        by_source = planes_by_source(self._session, {key[0] for keys in sources for key in keys})
        by_key = planes_by_key(
            self._session,
            {values["acquisition_id"] for values, _ in planes},
            {values["site_id"] for values, _ in planes},
        )
        stored = sources_of_planes(self._session, {plane.id for plane in by_source.values()})
        for plane, keys in zip(planes, sources, strict=True):
            there = by_key.get(_key(plane[0]))
            registered = {by_source[key].id for key in keys if key in by_source}
            if registered:
                if len(registered) > 1 or stored[registered.pop()] != set(keys):
                    self._refuse(plane)
            elif there is None:
                yield plane
                continue
            elif keys and there.state == "absent":
                self._fill(there, plane)
                continue
            elif keys:
                self._refuse(plane)
            self._written.known += 1

    def _fill(self, absent: KnownPlane, plane: PlannedPlane) -> None:
        """Plan a plane that was absent, and now is there."""
        self._written.filled += 1
        values, sources = plane
        self._session.execute(
            update(ChannelImageFileRow).where(ChannelImageFileRow.id == absent.id).values(**values)
        )
        rows = self._source_rows(absent.id, values["acquisition_id"], sources)
        insert_tuples(self._session, SourcePlaneRow, _SOURCE, list(rows))

    def _refuse(self, plane: PlannedPlane) -> NoReturn:
        raise RegistrationError(
            f"{self._manifest.folder / plane[1][0][0]}: its place in the experiment is taken by "
            "another plane since the folder was first registered; register the folder as a new "
            "experiment, or with another --acquisition name"
        )

    def _insert(self, planes: Sequence[PlannedPlane]) -> None:
        if not planes:
            return
        self._written.added += len(planes)
        plane_ids = self._ids.take(ChannelImageFileRow, len(planes))
        rows = [
            (plane_id, False, False, *values.values())
            for plane_id, (values, _) in zip(plane_ids, planes, strict=True)
        ]
        columns = ("id", "is_suspect", "is_deadly", *planes[0][0])
        sources = [
            row
            for plane_id, (values, sources) in zip(plane_ids, planes, strict=True)
            for row in self._source_rows(plane_id, values["acquisition_id"], sources)
        ]
        try:
            insert_tuples(self._session, ChannelImageFileRow, columns, rows)
        except IntegrityError as error:
            raise RegistrationError(
                f"{self._manifest.folder}: two planes of one acquisition have the same site, "
                f"channel, cycle, tpoint and zplane, or one makes no sense ({error.orig}); "
                "nothing was registered"
            ) from error
        insert_tuples(self._session, SourcePlaneRow, _SOURCE, sources)

    def _source_rows(
        self, plane_id: int, acquisition_id: int, sources: Sequence[tuple[str, PlaneRef]]
    ) -> Iterator[tuple[int, int, int, int, int]]:
        entries = self._files.known(acquisition_id)
        for position, (path, ref) in enumerate(sources):
            yield plane_id, entries[path], position, ref.series, ref.plane

    def _source_keys(
        self, values: Values, sources: Sequence[tuple[str, PlaneRef]]
    ) -> list[tuple[int, int, int]]:
        entries = self._files.known(values["acquisition_id"])
        return [(entries[path], ref.series, ref.plane) for path, ref in sources]

    def _write_metadata(self) -> None:
        for plate, acquisition, data_set in self._manifest.metadata_sets:
            acquisition_id = self._parts.acquisition(plate, acquisition)
            if acquisition_id not in self._parts.new_acquisitions:
                self._files.look_up(acquisition_id, [data_set])
            self._files.add(acquisition_id, [data_set])

    def _registered_twice(self, known: Sequence[int]) -> Iterator[Problem]:
        """Name acquisitions that have the files of new ones, by the same folder."""
        others = set(known) - self._parts.acquisitions
        new = self._parts.new_acquisitions
        for plate, name, count in shared_files(self._session, new, others):
            text = (
                f"{count} files are registered already, as acquisition {name} of plate {plate}: "
                "their planes are planned once more; use those names to add what is new"
            )
            yield Problem("warning", None, text)

    def _note_vanished(self, acquisition_ids: Sequence[int]) -> None:
        sets = [*self._manifest.data_sets, *(one for _, _, one in self._manifest.metadata_sets)]
        present = {file.path for one in sets for file in (one.entry, *one.companions)}
        vanished = [
            problem
            for acquisition_id in acquisition_ids
            for problem in self._files.note_vanished(acquisition_id, present)
        ]
        self._written.vanished_files = len(vanished)
        self._manifest.problems.extend(vanished[:_MOST_NAMED])
        if len(vanished) > _MOST_NAMED:
            text = f"{len(vanished) - _MOST_NAMED} more files vanished since they were registered"
            self._manifest.problems.append(Problem("warning", None, text))


# The columns that make a plane unique, in the order of `known_planes.PlaneKey`.
_KEY = ("site_id", "channel_id", "cycle_id", "tpoint", "zplane", "acquisition_id")


def _key(values: Values) -> tuple[int, int, int, int, int, int]:
    site, channel, cycle, tpoint, zplane, acquisition = (values[name] for name in _KEY)
    return site, channel, cycle, tpoint, zplane, acquisition
