"""Where the planes of acquisitions that were registered before lie, and go on."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from imextract.database.files import entries_at
from imextract.database.known_planes import (
    KnownPlane,
    indices_in_use,
    planes_by_source,
    sites_of_acquisition,
)
from imextract.database.parts import Parts
from imextract.database.renumbering import Axis, Renumbering
from imextract.errors import RegistrationError
from imextract.registration.manifest import ManifestRow, Problem, SiteKey

__all__ = ["KnownAcquisitions"]


class KnownAcquisitions:
    """Translates the places of a manifest into those of the ledger.

    Parameters
    ----------
    projects
        The planes are projections, so that z-planes have no place of their own.
    """

    def __init__(self, session: Session, parts: Parts, *, projects: bool) -> None:
        self._session = session
        self._parts = parts
        self._projects = projects
        self._renumbering = Renumbering()
        self._sites: dict[int, dict[int, tuple[str, int]]] = {}

    def learn(self, acquisition_id: int, rows: Sequence[ManifestRow]) -> None:
        """Compare rows that have a source with the planes of the same sources.

        Raises
        ------
        RegistrationError
            If a registered plane is something else now.
        """
        self._load(acquisition_id)
        paths = {row.source_file for row in rows if row.source_file is not None}
        entries = entries_at(self._session, acquisition_id, paths)
        known = planes_by_source(self._session, entries.values())
        for row in rows:
            if row.source is None or row.source[0] not in entries:
                continue
            path, ref = row.source
            plane = known.get((entries[path], ref.series, ref.plane))
            if plane is not None and not self._agree(acquisition_id, row, plane):
                raise RegistrationError(
                    f"{self._parts.folder / path}: plane {ref.plane} of series {ref.series} is "
                    f"registered as something else than well {row.site.well}, site "
                    f"{row.site.site}, channel {row.channel}, tpoint {row.tpoint}, zplane "
                    f"{row.zplane}; register the folder as a new experiment, or with another "
                    "--acquisition name"
                )

    def place(self, acquisition_id: int, row: ManifestRow) -> tuple[SiteKey, int, int]:
        """Give site, tpoint and zplane of a row in the ledger.

        Raises
        ------
        RegistrationError
            If nothing that is registered is left to place it by.
        """
        self._load(acquisition_id)
        try:
            site = self._site_axis(acquisition_id, row).place(row.site.site)
            tpoint = self._axis("tpoint", acquisition_id).place(row.tpoint)
            zplane = 0 if self._projects else self._axis("zplane", acquisition_id).place(row.zplane)
        except LookupError as error:
            raise RegistrationError(
                f"{self._parts.folder}: none of the files is there any more that acquisition "
                f"{row.acquisition!r} was registered with (well {row.site.well}), so what is new "
                "cannot be placed among its planes; bring them back, or register what is new with "
                "another --acquisition name"
            ) from error
        key = row.site if site == row.site.site else SiteKey(row.site.plate, row.site.well, site)
        return key, tpoint, zplane

    def problems(self) -> Iterator[Problem]:
        """Tell where something new was put after what it would sort before."""
        for name, axis in self._renumbering.axes.items():
            if axis.is_extended and isinstance(name, tuple):
                where = f" of well {name[2]}" if name[0] == "site" else ""
                text = (
                    f"what is new sorts between old {name[0]}s{where}; registered planes keep "
                    "their indices, the new ones follow"
                )
                yield Problem("warning", None, text)

    def _agree(self, acquisition_id: int, row: ManifestRow, plane: KnownPlane) -> bool:
        well, site = self._sites[acquisition_id][plane.site_id]
        return (
            well == row.site.well
            and plane.channel_id == self._parts.channel(row.channel)
            and plane.cycle_id == self._parts.cycle(row.cycle)
            and self._site_axis(acquisition_id, row).learn(row.site.site, site)
            and self._axis("tpoint", acquisition_id).learn(row.tpoint, plane.tpoint)
            and (
                self._projects
                or self._axis("zplane", acquisition_id).learn(row.zplane, plane.zplane)
            )
        )

    def _axis(self, name: str, acquisition_id: int) -> Axis:
        return self._renumbering.axis(name, acquisition_id)

    def _site_axis(self, acquisition_id: int, row: ManifestRow) -> Axis:
        return self._renumbering.axis("site", acquisition_id, row.site.well)

    def _load(self, acquisition_id: int) -> None:
        """Ask which indices are in use, once for each acquisition."""
        if acquisition_id in self._sites:
            return
        sites = self._sites[acquisition_id] = sites_of_acquisition(self._session, acquisition_id)
        for site_id in indices_in_use(self._session, acquisition_id, "site_id"):
            well, index = sites[site_id]
            self._renumbering.axis("site", acquisition_id, well).in_use.add(index)
        for axis in ("tpoint", "zplane"):
            self._axis(axis, acquisition_id).in_use |= indices_in_use(
                self._session, acquisition_id, axis
            )
