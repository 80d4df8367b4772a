"""Whether planes are missing that nothing declares: told by those that others have.

A plane that the microscope declares has its place in the manifest, absent or
not. What is found here has none.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from imextract.registration.manifest import ManifestRow, Problem, SiteKey

__all__ = ["Completeness"]

# Indices that are named as examples.
_MOST_EXAMPLES = 3


@dataclass(slots=True)
class _Extent:
    """How many planes a channel has at a site, and at how many z and t."""

    count: int = 0
    tpoints: set[int] = field(default_factory=set)
    zplanes: set[int] = field(default_factory=set)


_Extents: TypeAlias = dict[SiteKey, _Extent]


class Completeness:
    """Gathers which planes have a place, and tells what is missing in between."""

    def __init__(self) -> None:
        self._acquisitions: dict[tuple[str, str, int], dict[str, _Extents]] = {}

    def add(self, row: ManifestRow) -> None:
        """Take a plane, absent or not."""
        acquisition = row.site.plate, row.acquisition, row.cycle
        channels = self._acquisitions.get(acquisition)
        if channels is None:
            channels = self._acquisitions[acquisition] = defaultdict(dict)
        extent = channels[row.channel].get(row.site)
        if extent is None:
            extent = channels[row.channel][row.site] = _Extent()
        extent.count += 1
        extent.tpoints.add(row.tpoint)
        extent.zplanes.add(row.zplane)

    def problems(self, are_sites_alike: Callable[[str, str], bool]) -> Iterator[Problem]:
        """Tell of each acquisition what is missing, a line for each kind.

        Parameters
        ----------
        are_sites_alike
            Tells of a plate and an acquisition whether their sites were taken by
            one protocol, so that a plane that one has and another has not is missing.
        """
        for (plate, acquisition, cycle), channels in self._acquisitions.items():
            where = f"plate {plate}, acquisition {acquisition}, cycle {cycle}"
            texts = [*_holes(channels)]
            if are_sites_alike(plate, acquisition):
                texts += [*_missing_sites(channels), *_missing_tpoints(channels)]
                for name, extents in channels.items():
                    texts += [f"channel {name}: {text}" for text in _missing_planes(extents)]
            for text in texts:
                yield Problem("warning", None, f"{where}: {text} (not declared)")


def _holes(channels: Mapping[str, _Extents]) -> Iterator[str]:
    """Name indices below others that no plane has."""
    extents = [extent for sites in channels.values() for extent in sites.values()]
    for name, used in (
        ("site", {site.site for sites in channels.values() for site in sites}),
        ("tpoint", {index for extent in extents for index in extent.tpoints}),
        ("zplane", {index for extent in extents for index in extent.zplanes}),
    ):
        if max(used) >= len(used):
            missing = _first_of(range(max(used)), used)
            yield f"no plane has {name} {missing}, though others have {name}s up to {max(used)}"


def _first_of(indices: range, used: Collection[int]) -> str:
    """Name the first indices that are not used; a range may be longer than what is used."""
    named: list[str] = []
    for index in indices:
        if index not in used:
            named.append(str(index))
        if len(named) == _MOST_EXAMPLES:
            break
    more = len(indices) - sum(index in indices for index in used) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _missing_sites(channels: Mapping[str, _Extents]) -> Iterator[str]:
    """Name wells that lack sites, and channels that lack a site that others have."""
    sites = {site for extents in channels.values() for site in extents}
    wells: defaultdict[str, set[int]] = defaultdict(set)
    for site in sites:
        wells[site.well].add(site.site)
    every = set().union(*wells.values())
    short = sorted(well for well, indices in wells.items() if indices != every)
    if short:
        lost = min(every - wells[short[0]])
        yield (
            f"{len(short)} of {len(wells)} wells lack sites that others have, such as well "
            f"{short[0]} without site {lost}"
        )
    for channel, extents in channels.items():
        lacking = sites - extents.keys()
        if lacking:
            yield (
                f"channel {channel}: {len(lacking)} of {len(sites)} sites have no plane of it, "
                f"such as {_named(min(lacking))}"
            )


def _missing_tpoints(channels: Mapping[str, _Extents]) -> Iterator[str]:
    """Name channels that lack time points everywhere; z-planes may differ by intention."""
    tpoints = {
        channel: set().union(*(extent.tpoints for extent in extents.values()))
        for channel, extents in channels.items()
    }
    every = set().union(*tpoints.values())
    for channel, own in tpoints.items():
        if own != every:
            yield (
                f"channel {channel}: {len(every - own)} of {len(every)} tpoints of other channels "
                f"are missing, such as tpoint {min(every - own)}"
            )


def _missing_planes(extents: _Extents) -> Iterator[str]:
    """Name sites that lack time points, z-planes or single planes of a channel."""
    tpoints = set().union(*(extent.tpoints for extent in extents.values()))
    zplanes = set().union(*(extent.zplanes for extent in extents.values()))
    lacking_t = {site: tpoints - one.tpoints for site, one in extents.items()}
    lacking_z = {site: zplanes - one.zplanes for site, one in extents.items()}
    for name, lacking in (("tpoint", lacking_t), ("zplane", lacking_z)):
        short = [site for site, missing in lacking.items() if missing]
        if short:
            first = min(short)
            yield (
                f"{len(short)} of {len(extents)} sites lack {name}s that others have, such as "
                f"{_named(first)} without {name} {min(lacking[first])}"
            )
    expected = len(tpoints) * len(zplanes)
    short = [
        site
        for site, one in extents.items()
        if one.count < expected and not lacking_t[site] and not lacking_z[site]
    ]
    if short:
        first = min(short)
        yield (
            f"{len(short)} of {len(extents)} sites have fewer planes than {len(tpoints)} tpoints x "
            f"{len(zplanes)} zplanes, such as {_named(first)} with {extents[first].count}"
        )


def _named(site: SiteKey) -> str:
    return f"well {site.well}, site {site.site}"
