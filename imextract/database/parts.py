"""Rows of the parts of an experiment, found or made by what names them."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from imextract.database.ids import Ids
from imextract.database.models import (
    AcquisitionRow,
    Base,
    ChannelRow,
    CycleRow,
    PlateRow,
    SiteRow,
    WellRow,
)
from imextract.errors import RegistrationError
from imextract.registration.manifest import Manifest, Problem, SiteInfo, SiteKey
from imextract.registration.wells import parse_well_name

__all__ = ["Parts"]

# Problems of one kind that are named.
_MOST_NAMED = 20


class Parts:
    """Gives the id of every part that a manifest names; asks the database once for each.

    Attributes
    ----------
    folder
        The registered folder.
    new_acquisitions
        Ids of the acquisitions that were made, not found.
    problems
        Sites that are not what they were in an earlier acquisition.
    """

    def __init__(self, session: Session, ids: Ids, manifest: Manifest, experiment_id: int) -> None:
        self.folder = manifest.folder
        self.new_acquisitions: set[int] = set()
        self.problems: list[Problem] = []
        self._session = session
        self._id_source = ids
        self._manifest = manifest
        self._experiment_id = experiment_id
        self._acquisitions: dict[tuple[str, str], int] = {}
        self._sites: dict[SiteKey, int] = {}
        self._channels: dict[str, int] = {}
        self._cycles: dict[int, int] = {}
        self._ids: dict[tuple[Any, ...], int] = {}
        self._known_sites: dict[int, dict[int, SiteRow]] = {}

    @property
    def acquisitions(self) -> frozenset[int]:
        """Ids of the acquisitions that were asked for and are there."""
        return frozenset(self._acquisitions.values())

    def acquisition(self, plate: str, name: str) -> int:
        """Give the acquisition of a plate; make it where there is none.

        Raises
        ------
        RegistrationError
            If it is of another folder.
        """
        key = (plate, name)
        if key not in self._acquisitions:
            self._acquisitions[key] = self._known_or_new_acquisition(plate, name)
        return self._acquisitions[key]

    def known_acquisition(self, plate: str, name: str) -> int | None:
        """Give the acquisition of a plate; None if it was not registered before.

        Raises
        ------
        RegistrationError
            If it is of another folder.
        """
        key = (plate, name)
        if key in self._acquisitions:
            return self._acquisitions[key]
        row = self._session.scalar(
            select(AcquisitionRow)
            .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
            .where(
                PlateRow.experiment_id == self._experiment_id,
                PlateRow.name == _text(plate),
                AcquisitionRow.name == _text(name),
            )
        )
        if row is None:
            return None
        if row.folder != str(self._manifest.folder):
            raise RegistrationError(
                f"plate {plate!r} has an acquisition {name!r} already, of the folder {row.folder}; "
                "give this one another name with --acquisition"
            )
        self._acquisitions[key] = row.id
        return row.id

    def _known_or_new_acquisition(self, plate: str, name: str) -> int:
        known = self.known_acquisition(plate, name)
        if known is not None:
            return known
        objective = self._manifest.objectives.get((plate, name))
        acquisition_id = self._add(
            AcquisitionRow,
            plate_id=self._plate(plate),
            name=_text(name),
            folder=str(self._manifest.folder),
            microscope_type=self._manifest.type_of(plate, name),
            objective=None if objective is None else _text(objective),
            registered_at=dt.datetime.now(dt.UTC),
        )
        self.new_acquisitions.add(acquisition_id)
        return acquisition_id

    def site(self, site: SiteKey, in_manifest: SiteKey) -> int:
        """Give the site, and make its plate and well where there are none.

        `in_manifest` is the key by which the manifest tells where it lies.
        """
        if site not in self._sites:
            self._sites[site] = self._find_site(site, self._manifest.sites[in_manifest])
        return self._sites[site]

    def _find_site(self, site: SiteKey, info: SiteInfo) -> int:
        row, column = parse_well_name(site.well)
        plate_id = self._plate(site.plate)
        well_id = self._find(
            WellRow, {"name": site.well}, plate_id=plate_id, row=row, column=column
        )
        known = self._sites_of_well(well_id)
        if site.site in known:
            self._compare(site, known[site.site], info)
            return known[site.site].id
        y, x = _free_cell(info, known.values())
        added = SiteRow(
            id=self._id_source.take(SiteRow)[0],
            well_id=well_id,
            index=site.site,
            name=None if info.name is None else _text(info.name),
            y=y,
            x=x,
            height=info.height,
            width=info.width,
        )
        self._session.add(added)
        self._session.flush()
        known[site.site] = added
        return added.id

    def _sites_of_well(self, well_id: int) -> dict[int, SiteRow]:
        if well_id not in self._known_sites:
            rows = self._session.scalars(select(SiteRow).where(SiteRow.well_id == well_id))
            self._known_sites[well_id] = {row.index: row for row in rows}
        return self._known_sites[well_id]

    def _compare(self, site: SiteKey, known: SiteRow, info: SiteInfo) -> None:
        if (known.height, known.width) == (info.height, info.width):
            return
        if len(self.problems) < _MOST_NAMED:
            text = (
                f"plate {site.plate}, well {site.well}, site {site.site} is registered with "
                f"{known.width} x {known.height} pixels, and has {info.width} x {info.height} "
                "here: planes keep their own sizes, but do not cover each other"
            )
            self.problems.append(Problem("warning", None, text))

    def channel(self, name: str) -> int:
        """Give the channel."""
        if name not in self._channels:
            info = self._manifest.channels[name]
            more = {"excitation_nm": info.excitation_nm, "emission_nm": info.emission_nm}
            self._channels[name] = self._find(
                ChannelRow, more, experiment_id=self._experiment_id, name=_text(info.name)
            )
        return self._channels[name]

    def cycle(self, index: int) -> int:
        """Give the cycle."""
        if index not in self._cycles:
            self._cycles[index] = self._find(
                CycleRow, experiment_id=self._experiment_id, index=index
            )
        return self._cycles[index]

    def _plate(self, name: str) -> int:
        return self._find(PlateRow, experiment_id=self._experiment_id, name=_text(name))

    def _find(
        self, model: type[Base], more: dict[str, Any] | None = None, /, **key: int | str
    ) -> int:
        """Give the id of the row with these unique values; make it where there is none."""
        known = (model, *key.values())
        if known not in self._ids:
            row_id = self._session.scalar(select(model.id).filter_by(**key))
            self._ids[known] = self._add(model, **key, **(more or {})) if row_id is None else row_id
        return self._ids[known]

    def _add(self, model: type[Base], **values: Any) -> int:  # noqa: ANN401  of any column
        row_id = self._id_source.take(model)[0]
        self._session.execute(insert(model).values(id=row_id, **values))
        return row_id


def _free_cell(info: SiteInfo, known: Iterable[SiteRow]) -> tuple[int, int]:
    """Give a new site its cell; where that is taken, one in a row below all others."""
    taken = {(row.y, row.x) for row in known}
    if (info.y, info.x) not in taken:
        return info.y, info.x
    below = max(y for y, _ in taken) + 1
    return below, 0


def _text(name: str) -> str:
    # Names made from file names may hold bytes that no database takes. They are
    # written out: in place of each a "?" would make one plate of two.
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
