"""Rows of the parts of an experiment, found or made by what names them."""

import datetime as dt
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

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
from imextract.registration.manifest import Manifest, SiteKey
from imextract.registration.wells import parse_well_name

__all__ = ["Parts"]


class Parts:
    """Gives the id of every part that a manifest names; asks the database once for each.

    Attributes
    ----------
    new_acquisitions
        Ids of the acquisitions that were made, not found.
    """

    def __init__(self, session: Session, manifest: Manifest, experiment_id: int) -> None:
        self.new_acquisitions: set[int] = set()
        self._session = session
        self._manifest = manifest
        self._experiment_id = experiment_id
        self._ids: dict[tuple[Any, ...], int] = {}

    def acquisition(self, plate: str, name: str) -> int:
        """Give the acquisition of a plate.

        Raises
        ------
        RegistrationError
            If it is of another folder.
        """
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
            self.new_acquisitions.add(row.id)
        elif row.folder != str(self._manifest.folder):
            raise RegistrationError(
                f"plate {plate!r} has an acquisition {name!r} already, of the folder {row.folder}; "
                "give this one another name with --acquisition"
            )
        return row.id

    def site(self, site: SiteKey) -> int:
        """Give the site, and make its plate and well where there are none."""
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

    def channel(self, name: str) -> int:
        """Give the channel."""
        info = self._manifest.channels[name]
        more = {"excitation_nm": info.excitation_nm, "emission_nm": info.emission_nm}
        return self._find(
            ChannelRow, more, experiment_id=self._experiment_id, name=_text(info.name)
        )

    def cycle(self, index: int) -> int:
        """Give the cycle."""
        return self._find(CycleRow, experiment_id=self._experiment_id, index=index)

    def _find(
        self, model: type[Base], more: dict[str, Any] | None = None, /, **key: int | str
    ) -> int:
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


def _text(name: str) -> str:
    # Names made from file names may hold bytes that no database takes.
    return name.encode("utf-8", "replace").decode().replace("\0", "")
