"""Whether planes that belong together are alike: sizes, types, and none missing in between."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from imextract.registration.manifest import ManifestRow, Problem, SiteKey

__all__ = ["ShapeCheck"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20


@dataclass(slots=True)
class _Extent:
    """How many planes a channel has at a site, and at how many z and t."""

    count: int = 0
    tpoints: set[int] = field(default_factory=set)
    zplanes: set[int] = field(default_factory=set)


class ShapeCheck:
    """Gathers what is told of planes that are there, and compares it."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, SiteKey], tuple[int, int]] = {}
        self._odd_sizes: dict[tuple[str, SiteKey], tuple[ManifestRow, tuple[int, int]]] = {}
        self._types: defaultdict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
        self._extents: defaultdict[tuple[str, str, int, str], dict[SiteKey, _Extent]]
        self._extents = defaultdict(dict)

    def add(self, row: ManifestRow) -> None:
        """Take a plane; an absent one has a place, but no shape of its own."""
        group = row.site.plate, row.acquisition, row.cycle, row.channel
        extent = self._extents[group].get(row.site)
        if extent is None:
            extent = self._extents[group][row.site] = _Extent()
        extent.count += 1
        extent.tpoints.add(row.tpoint)
        extent.zplanes.add(row.zplane)
        if row.source_file is None:
            return
        place = row.acquisition, row.site
        size = row.height, row.width
        before = self._sizes.setdefault(place, size)
        if before != size:
            self._odd_sizes.setdefault(place, (row, before))
        types = self._types[row.site.plate, row.channel]
        if row.dtype not in types:
            types[row.dtype] = row.source_file

    def problems(self, *, are_sites_alike: bool) -> Iterator[Problem]:
        """Tell what is not alike.

        Parameters
        ----------
        are_sites_alike
            The sites were taken by one protocol, so that a plane that one has
            and another has not is missing.
        """
        yield from _some(list(self._size_problems()), "sites with planes of two sizes")
        yield from self._type_problems()
        if are_sites_alike:
            yield from _some(list(self._gaps()), "channels with missing planes")

    def _size_problems(self) -> Iterator[Problem]:
        for (_, site), (row, before) in self._odd_sizes.items():
            text = (
                f"has {row.width} x {row.height} pixels, another plane of the same site "
                f"{before[1]} x {before[0]}: plate {site.plate}, well {site.well}, site "
                f"{site.site}; each plane is stored with its own size"
            )
            yield Problem("warning", row.source_file, text)

    def _type_problems(self) -> Iterator[Problem]:
        for (plate, channel), types in self._types.items():
            if len(types) > 1:
                told = ", ".join(f"{dtype} ({file})" for dtype, file in types.items())
                text = (
                    f"channel {channel} of plate {plate} has pixels of several types: {told}; "
                    "each plane is stored with its own type"
                )
                yield Problem("warning", None, text)

    def _gaps(self) -> Iterator[Problem]:
        for (plate, acquisition, _, channel), extents in self._extents.items():
            tpoints = set().union(*(extent.tpoints for extent in extents.values()))
            zplanes = set().union(*(extent.zplanes for extent in extents.values()))
            expected = len(tpoints) * len(zplanes)
            short = [site for site, extent in extents.items() if extent.count < expected]
            if short:
                first = min(short)
                text = (
                    f"plate {plate}, acquisition {acquisition}, channel {channel}: {len(short)} of "
                    f"{len(extents)} sites have fewer planes than {len(tpoints)} tpoints x "
                    f"{len(zplanes)} zplanes, such as well {first.well}, site {first.site} with "
                    f"{extents[first].count}"
                )
                yield Problem("warning", None, text)


def _some(problems: list[Problem], what: str) -> list[Problem]:
    more = len(problems) - _MOST_NAMED
    if more <= 0:
        return problems
    return [*problems[:_MOST_NAMED], Problem("warning", None, f"{more} more {what}")]
