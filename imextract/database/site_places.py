"""Whether sites of a new acquisition lie where those of earlier ones do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imextract.database.models import AcquisitionRow, ChannelImageFileRow, SiteRow, WellRow
from imextract.registration.manifest import Manifest, ManifestRow, Problem

__all__ = ["SitePlaces"]

Plane = ChannelImageFileRow
Xy: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Place:
    """Row and column of a site, and where the stage stood; None if that is not told."""

    y: int
    x: int
    stage_um: Xy | None


@dataclass(slots=True)
class _Difference:
    example: str
    count: int = 1


class SitePlaces:
    """Compares the sites of new acquisitions with those that planes are registered of.

    Sites go by their number: planes of two acquisitions, or of two cycles, that
    have the same one are taken to show the same place.
    """

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self._session = session
        self._manifest = manifest
        self._known: dict[int, dict[int, _Place]] = {}
        self._seen: set[tuple[int, int]] = set()
        self._differences: dict[tuple[str, str], _Difference] = {}

    def compare(self, row: ManifestRow, acquisition_id: int, site_id: int) -> None:
        """Take a plane of a new acquisition; the first one of a site tells where that lies."""
        if (acquisition_id, site_id) in self._seen:
            return
        self._seen.add((acquisition_id, site_id))
        if acquisition_id not in self._known:
            self._known[acquisition_id] = self._places_before(acquisition_id)
        before = self._known[acquisition_id].get(site_id)
        how = None if before is None else self._difference(before, row)
        if how is not None:
            where = row.site.plate, row.acquisition
            self._note(where, f"well {row.site.well}, site {row.site.site}, {how}")

    def problems(self) -> Iterator[Problem]:
        """Tell of each acquisition how many sites lie elsewhere."""
        for (plate, acquisition), found in self._differences.items():
            text = (
                f"plate {plate}, acquisition {acquisition}: {found.count} sites lie elsewhere than "
                f"those of the same number in acquisitions before, such as {found.example}; look "
                "whether they show the same place, or give them other numbers in a manifest"
            )
            yield Problem("warning", None, text)

    def _places_before(self, acquisition_id: int) -> dict[int, _Place]:
        query = (
            select(
                SiteRow.id,
                SiteRow.y,
                SiteRow.x,
                func.min(Plane.stage_x_um),
                func.min(Plane.stage_y_um),
            )
            .join(Plane, Plane.site_id == SiteRow.id)
            .join(WellRow, WellRow.id == SiteRow.well_id)
            .join(AcquisitionRow, AcquisitionRow.plate_id == WellRow.plate_id)
            .where(AcquisitionRow.id == acquisition_id, Plane.acquisition_id != acquisition_id)
            .group_by(SiteRow.id, SiteRow.y, SiteRow.x)
        )
        return {
            site_id: _Place(y, x, _xy(stage_x, stage_y))
            for site_id, y, x, stage_x, stage_y in self._session.execute(query)
        }

    def _difference(self, before: _Place, row: ManifestRow) -> str | None:
        site, stage = self._manifest.sites[row.site], _xy(row.stage_x_um, row.stage_y_um)
        if (site.y, site.x) != (before.y, before.x):
            return f"at row {before.y}, column {before.x} before, row {site.y}, column {site.x} now"
        if stage is None or before.stage_um is None or not _is_far(before.stage_um, stage, row):
            return None
        told = [f"{x:.0f}, {y:.0f} µm" for x, y in (before.stage_um, stage)]
        return f"where the stage stood at {told[0]} before, at {told[1]} now"

    def _note(self, where: tuple[str, str], example: str) -> None:
        if where in self._differences:
            self._differences[where].count += 1
        else:
            self._differences[where] = _Difference(example)


def _xy(x: float | None, y: float | None) -> Xy | None:
    return None if x is None or y is None else (x, y)


def _is_far(before: Xy, now: Xy, row: ManifestRow) -> bool:
    """Tell whether two images would show less than half of the same."""
    if row.pixel_size_x_um is None or row.pixel_size_y_um is None:
        return False
    extent = row.width * row.pixel_size_x_um, row.height * row.pixel_size_y_um
    return any(abs(a - b) > abs(size) / 2 for a, b, size in zip(before, now, extent, strict=True))
