"""From the images of opened data sets to rows of the manifest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imextract.planes import PlaneRef, SeriesStructure
from imextract.registration.geometry import grid_positions
from imextract.registration.manifest import ManifestRow, RowGroup, SiteInfo, SiteKey
from imextract.registration.ome import OmeImage, PlaneFacts

__all__ = ["ImageRows", "SitePosition", "site_grids"]


@dataclass(frozen=True, slots=True)
class ImageRows(RowGroup):
    """The planes of one series.

    `channels` names its channels in order; its z and t count from
    `first_zplane` and `first_tpoint`. `has_stage_um` tells whether the stage
    positions of the metadata can be believed. `absent` are planes that are
    declared, but not there.
    """

    site: SiteKey
    acquisition: str
    cycle: int
    channels: tuple[str, ...]
    source_file: str
    series: int
    structure: SeriesStructure
    image: OmeImage
    has_stage_um: bool = True
    first_zplane: int = 0
    first_tpoint: int = 0
    absent: frozenset[int] = frozenset()

    def rows(self) -> Iterator[ManifestRow]:
        """Give the rows of the series, in the order of its planes."""
        for plane in range(self.structure.plane_count):
            z, c, t = self.structure.zct(plane)
            yield self._row(PlaneRef(self.series, plane), z, c, t)

    def _row(self, ref: PlaneRef, z: int, c: int, t: int) -> ManifestRow:
        facts = self._facts(z, c, t)
        is_absent = ref.plane in self.absent
        return ManifestRow(
            site=self.site,
            acquisition=self.acquisition,
            cycle=self.cycle,
            channel=self.channels[c],
            tpoint=self.first_tpoint + t,
            zplane=self.first_zplane + z,
            source_file=None if is_absent else self.source_file,
            ref=None if is_absent else ref,
            height=self.structure.size_y,
            width=self.structure.size_x,
            dtype=self.structure.dtype,
            pixel_size_x_um=self.image.pixel_size_x_um,
            pixel_size_y_um=self.image.pixel_size_y_um,
            pixel_size_z_um=self.image.pixel_size_z_um,
            stage_x_um=facts.stage_x_um if self.has_stage_um else None,
            stage_y_um=facts.stage_y_um if self.has_stage_um else None,
            stage_z_um=facts.stage_z_um if self.has_stage_um else None,
            time_stamp_s=facts.time_stamp_s,
            exposure_ms=facts.exposure_ms,
        )

    def _facts(self, z: int, c: int, t: int) -> PlaneFacts:
        # OME counts an RGB channel once, the series counts its samples.
        samples = [channel.samples for channel in self.image.channels]
        if sum(samples) == self.structure.size_c and max(samples, default=1) > 1:
            c = [index for index, count in enumerate(samples) for _ in range(count)][c]
        return self.image.planes.get(z, c, t)


@dataclass(frozen=True, slots=True)
class SitePosition:
    """A site before it has a place in the grid of its well."""

    height: int
    width: int
    name: str | None = None
    stage_position: tuple[float, float] | None = None
    y_up: bool = False


def site_grids(sites: Mapping[SiteKey, SitePosition]) -> dict[SiteKey, SiteInfo]:
    """Lay out the sites of each well in the grid that their positions tell."""
    wells: dict[tuple[str, str], list[SiteKey]] = {}
    for key in sites:
        wells.setdefault((key.plate, key.well), []).append(key)
    laid_out: dict[SiteKey, SiteInfo] = {}
    for keys in wells.values():
        keys.sort()
        positions = [sites[key] for key in keys]
        cells = grid_positions(
            [position.stage_position for position in positions],
            y_up=all(position.y_up for position in positions),
        )
        for key, site, (y, x) in zip(keys, positions, cells, strict=True):
            laid_out[key] = SiteInfo(y, x, site.height, site.width, site.name)
    return laid_out
