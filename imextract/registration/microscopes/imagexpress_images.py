"""The images of an ImageXpress plate, by what they are: planes, projections, thumbnails."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imextract.registration.microscopes.imagexpress_names import ImageName, parse_image_path
from imextract.registration.microscopes.metaseries import Metaseries

__all__ = ["Images", "Index", "sorted_images", "zstep_um"]

_STACKS_MEASURED = 200


@dataclass(frozen=True, slots=True, order=True)
class Index:
    """Which image of a plate: zero-based numbers."""

    well: str
    site: int
    wave: int
    tpoint: int
    zstep: int


@dataclass(slots=True)
class Images:
    """The images of a plate, sorted from what is no plane."""

    of_index: dict[Index, list[str]] = field(default_factory=dict)
    projections: list[str] = field(default_factory=list)
    flat_waves: frozenset[int] = frozenset()

    def waves(self) -> set[int]:
        return {index.wave for index in self.of_index}


def sorted_images(paths: Iterable[str]) -> Images:
    """Sort a plate's images: planes by their index, projections, thumbnails left out.

    Where a wave has folders of z-steps, its images beside them are their
    projection; a wave without any was taken in one plane.
    """
    names = [(path, name) for path in paths if (name := parse_image_path(path)) is not None]
    names = [(path, name) for path, name in names if not name.is_thumbnail]
    stacked = {name.wave or 1 for _, name in names if name.zstep}
    images = Images(
        flat_waves=frozenset({(name.wave or 1) - 1 for _, name in names if name.zstep is None})
        - {wave - 1 for wave in stacked}
    )
    for path, name in names:
        if name.zstep == 0 or (name.zstep is None and (name.wave or 1) in stacked):
            images.projections.append(path)
        else:
            images.of_index.setdefault(_index(name), []).append(path)
    return images


def _index(name: ImageName) -> Index:
    """Give the numbers from zero; what a name leaves out, there is one of."""
    site, wave, tpoint, zstep = (
        1 if number is None else number
        for number in (name.site, name.wave, name.tpoint, name.zstep)
    )
    return Index(name.well, site - 1, wave - 1, tpoint - 1, zstep - 1)


def zstep_um(images: Images, facts: Mapping[str, Metaseries]) -> float | None:
    """Give the distance of z-steps, in the middle of those of some stacks."""
    stacks: defaultdict[tuple[str, int, int, int], dict[int, float]] = defaultdict(dict)
    for index, paths in images.of_index.items():
        height = facts[paths[0]].stage_z_um
        if height is not None:
            stack = index.well, index.site, index.wave, index.tpoint
            if stack in stacks or len(stacks) < _STACKS_MEASURED:
                stacks[stack][index.zstep] = height
    steps = sorted(
        abs(heights[zstep + 1] - heights[zstep])
        for heights in stacks.values()
        for zstep in heights
        # The projection of a wave, filed under each of its z-steps, has one height.
        if zstep + 1 in heights and heights[zstep + 1] != heights[zstep]
    )
    return round(steps[len(steps) // 2], 4) if steps else None
