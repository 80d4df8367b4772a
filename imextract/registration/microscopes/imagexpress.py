"""ImageXpress plates of Molecular Devices, by their HTD file and the names of their images.

The HTD tells what was to be taken, the names tell which file holds what. An
image that is declared, but not there, is absent. Plates from MetaXpress'
database have no HTD: their names, which end with GUIDs, tell all that is known.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.registration.channels import distinct
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.manifest import ChannelInfo, Manifest, Problem, SiteKey
from imextract.registration.microscopes.htd import Htd, parse_htd
from imextract.registration.microscopes.imagexpress_names import (
    ImageName,
    parse_image_path,
    plate_root,
)
from imextract.registration.microscopes.metaseries import Metaseries, read_metaseries
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_text import read_text

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

_LARGEST_HTD = 10 * 2**20
# A plan of so many more planes than there are images is damage, or of another plate.
_MOST_DECLARED_PER_IMAGE = 1000
_FEW_DECLARED = 100_000
_STACKS_MEASURED = 200


@dataclass(frozen=True, slots=True, order=True)
class _Index:
    """Which image of a plate: zero-based numbers."""

    well: str
    site: int
    wave: int
    tpoint: int
    zstep: int


@dataclass(slots=True)
class _Images:
    """The images of a plate, sorted from what is no plane."""

    of_index: dict[_Index, list[str]] = field(default_factory=dict)
    projections: list[str] = field(default_factory=list)
    flat_waves: frozenset[int] = frozenset()

    def waves(self) -> set[int]:
        return {index.wave for index in self.of_index}


@dataclass(slots=True)
class _Group:
    """Files of one plate in one folder."""

    htds: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    is_certain: bool = False


def claim(found: FoundFiles) -> list[Claim]:
    """Claim the images that lie with an HTD, and those named with GUIDs or time points."""
    groups: defaultdict[tuple[str, str], _Group] = defaultdict(_Group)
    images: defaultdict[tuple[str, str], _Group] = defaultdict(_Group)
    for path in found.files:
        if path.lower().endswith(".htd"):
            folder, _, file_name = path.rpartition("/")
            groups[plate_root(folder), file_name[:-4].casefold()].htds.append(path)
        elif (name := parse_image_path(path)) is not None:
            group = images[name.root, name.plate.casefold()]
            group.images.append(path)
            group.is_certain |= _is_certain(name)
    for key, group in images.items():
        owner = key if key in groups else _renamed(key, groups, images)
        if owner is not None:
            groups[owner].images.extend(group.images)
        elif group.is_certain:
            groups[key] = group
    return [
        Claim(root, _entry(group), frozenset(group.htds + group.images))
        for (root, _), group in groups.items()
    ]


def _is_certain(name: ImageName) -> bool:
    """Whether no other microscope would write such a name there."""
    return not name.is_thumbnail and (name.has_guid or name.tpoint is not None)


def _renamed(
    key: tuple[str, str],
    groups: Mapping[tuple[str, str], _Group],
    images: Mapping[tuple[str, str], _Group],
) -> tuple[str, str] | None:
    """Give the HTD of the folder, if it can be of no other images of the folder."""
    htds = [other for other in groups if other[0] == key[0] and groups[other].htds]
    rivals = [other for other in images if other[0] == key[0]]
    return htds[0] if len(htds) == 1 and rivals == [key] else None


def _entry(group: _Group) -> str:
    # Copies of the HTD lie in the folders of time points and z-steps.
    return min(group.htds or group.images, key=lambda path: (path.count("/"), natural_order(path)))


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Give the planes of one plate.

    Raises
    ------
    SourceFileError
        If its HTD cannot be read, or declares what cannot be.
    RegistrationError
        If none of its images can be read.
    """
    paths = sorted(claim.files, key=natural_order)
    htds = [path for path in paths if path.lower().endswith(".htd")]
    text = read_text(found.folder / claim.entry, _LARGEST_HTD) if htds else None
    htd = _parse(claim.entry, text) if text is not None else None
    images = _sorted_images(paths)
    problems = [*_projection_problems(images), *_differing_copies(found, htds, claim.entry)]
    if htd is not None:
        _refuse_absurd(claim.entry, htd, images)
        problems.extend(_undeclared(claim.entry, htd, images))
    plate = _plate_name(claim.entry)
    facts = {
        path: read_metaseries(found.folder / path)
        for group in images.of_index.values()
        for path in group
    }
    problems.extend(_filed_projections(images, facts))
    channels = _channels(htd, images, facts)
    logger.info("%s: %d images", claim.entry, len(facts))
    return manifest_of_planes(
        found,
        "imagexpress",
        _planes(plate, htd, images, facts, channels),
        acquisition=None,
        options=options,
        settings=settings,
        channels=channels,
        site_cells=_site_cells(plate, htd, images),
        metadata=htds,
        metadata_text=text,
        problems=problems,
    )


def _parse(path: str, text: str) -> Htd:
    try:
        return parse_htd(text)
    except SourceFileError as error:
        raise SourceFileError(
            f"{path}: {error}; copy it again from the microscope, or move it out of the folder"
        ) from error


def _plate_name(entry: str) -> str:
    name = parse_image_path(entry)
    return entry.rpartition("/")[2][: -len(".htd")] if name is None else name.plate


def _sorted_images(paths: Iterable[str]) -> _Images:
    """Sort a plate's images: planes by their index, projections, thumbnails left out.

    Where a wave has folders of z-steps, its images beside them are their
    projection; a wave without any was taken in one plane.
    """
    names = [(path, name) for path in paths if (name := parse_image_path(path)) is not None]
    names = [(path, name) for path, name in names if not name.is_thumbnail]
    stacked = {name.wave or 1 for _, name in names if name.zstep}
    images = _Images(
        flat_waves=frozenset({(name.wave or 1) - 1 for _, name in names if name.zstep is None})
        - {wave - 1 for wave in stacked}
    )
    for path, name in names:
        if name.zstep == 0 or (name.zstep is None and (name.wave or 1) in stacked):
            images.projections.append(path)
        else:
            images.of_index.setdefault(_index(name), []).append(path)
    return images


def _index(name: ImageName) -> _Index:
    """Give the numbers from zero; what a name leaves out, there is one of."""
    site, wave, tpoint, zstep = (
        1 if number is None else number
        for number in (name.site, name.wave, name.tpoint, name.zstep)
    )
    return _Index(name.well, site - 1, wave - 1, tpoint - 1, zstep - 1)


def _planes(
    plate: str,
    htd: Htd | None,
    images: _Images,
    facts: Mapping[str, Metaseries],
    channels: Sequence[ChannelInfo],
) -> Iterator[PlaneFile]:
    start = min((fact.time_s for fact in facts.values() if fact.time_s is not None), default=0.0)
    step_um = _zstep_um(images, facts)
    for index, paths in images.of_index.items():
        for path in paths:
            fact = facts[path]
            yield PlaneFile(
                plate=plate,
                well=index.well,
                site=index.site,
                channel=channels[index.wave].name,
                tpoint=index.tpoint,
                zplane=index.zstep,
                path=path,
                pixel_size_x_um=fact.pixel_size_x_um,
                pixel_size_y_um=fact.pixel_size_y_um,
                pixel_size_z_um=None if index.wave in images.flat_waves else step_um,
                stage_x_um=fact.stage_x_um,
                stage_y_um=fact.stage_y_um,
                stage_z_um=fact.stage_z_um,
                time_stamp_s=None if fact.time_s is None else round(fact.time_s - start, 3),
                exposure_ms=fact.exposure_ms,
            )
    if htd is not None:
        for index in _declared(htd, images.flat_waves):
            if index not in images.of_index:
                channel = channels[index.wave].name
                yield PlaneFile(
                    plate, index.well, index.site, channel, index.tpoint, index.zstep, None
                )


def _declared(htd: Htd, flat_waves: frozenset[int]) -> Iterator[_Index]:
    for well in htd.wells:
        for site in range(htd.site_count):
            for wave in range(len(htd.waves)):
                for tpoint in range(htd.tpoints):
                    for zstep in range(1 if wave in flat_waves else htd.zsteps):
                        yield _Index(well, site, wave, tpoint, zstep)


def _zstep_um(images: _Images, facts: Mapping[str, Metaseries]) -> float | None:
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


def _channels(
    htd: Htd | None, images: _Images, facts: Mapping[str, Metaseries]
) -> list[ChannelInfo]:
    """Name the waves: as the HTD does, else by their illumination, else by their number."""
    settings: defaultdict[int, set[tuple[str | None, float | None]]] = defaultdict(set)
    for index, paths in images.of_index.items():
        for path in paths:
            settings[index.wave].add((facts[path].illumination, facts[path].wavelength_nm))
    told = htd.waves if htd is not None else ()
    count = max(len(told), max(images.waves(), default=-1) + 1)
    names = []
    for wave in range(count):
        illuminations = {name for name, _ in settings[wave]}
        own = illuminations.pop() if len(illuminations) == 1 else None
        names.append((told[wave] if wave < len(told) else own) or own or f"w{wave + 1}")
    channels = []
    for wave, name in enumerate(distinct(names)):
        wavelengths = {wavelength for _, wavelength in settings[wave]}
        emission = wavelengths.pop() if len(wavelengths) == 1 else None
        channels.append(ChannelInfo(name, emission_nm=emission))
    return channels


def _site_cells(plate: str, htd: Htd | None, images: _Images) -> dict[SiteKey, tuple[int, int]]:
    if htd is None:
        return {}
    wells = {*htd.wells, *(index.well for index in images.of_index)}
    cells = htd.site_cells or ((0, 0),)
    return {SiteKey(plate, well, site): cell for well in wells for site, cell in enumerate(cells)}


def _refuse_absurd(entry: str, htd: Htd, images: _Images) -> None:
    count = len(images.of_index)
    if htd.plane_count > _FEW_DECLARED + _MOST_DECLARED_PER_IMAGE * count:
        raise SourceFileError(
            f"{entry}: declares {htd.plane_count} planes, but only {count} images lie with it; "
            "copy the images, or correct the HTD"
        )


def _projection_problems(images: _Images) -> Iterator[Problem]:
    if not images.projections:
        return
    count = len(images.projections)
    text = f"{count} projections of z-stacks (ZStep_0, or beside ZStep_n folders): left out"
    yield Problem("warning", images.projections[0], text)
    projected = {
        (name.wave or 1) - 1 for path in images.projections if (name := parse_image_path(path))
    }
    for wave in sorted(projected - images.waves()):
        text = f"wave w{wave + 1} is there as projections only (ZStep_0): it is left out"
        yield Problem("warning", None, text)


def _filed_projections(images: _Images, facts: Mapping[str, Metaseries]) -> Iterator[Problem]:
    """Name waves of which only the projection was kept, filed as if it were a plane."""
    projected: defaultdict[int, list[str]] = defaultdict(list)
    for index, paths in images.of_index.items():
        projected[index.wave].extend(path for path in paths if facts[path].is_projection)
    for wave, paths in sorted(projected.items()):
        if paths:
            text = (
                f"{len(paths)} images of wave w{wave + 1} say of themselves that they are "
                "projections of a z-stack: registered as the planes that they are filed as"
            )
            yield Problem("warning", paths[0], text)


def _differing_copies(found: FoundFiles, htds: Sequence[str], entry: str) -> Iterator[Problem]:
    if len(htds) < 2:
        return
    first = read_text(found.folder / entry, _LARGEST_HTD)
    for path in htds:
        try:
            is_same = read_text(found.folder / path, _LARGEST_HTD) == first
        except SourceFileError:
            is_same = False
        if not is_same:
            yield Problem("warning", path, f"differs from {entry}, which is believed")


def _undeclared(entry: str, htd: Htd, images: _Images) -> Iterator[Problem]:
    """Name images that the HTD does not declare; they are registered as they are named."""
    limits = {
        "site": htd.site_count,
        "wave": len(htd.waves),
        "tpoint": htd.tpoints,
        "zstep": htd.zsteps,
    }
    wells = frozenset(htd.wells)
    outside: Counter[str] = Counter()
    example: dict[str, str] = {}
    for index, paths in images.of_index.items():
        beyond = [name for name, limit in limits.items() if getattr(index, name) >= limit]
        if index.well not in wells:
            beyond.append("well")
        for name in beyond:
            outside[name] += len(paths)
            example.setdefault(name, paths[0])
    for name, count in outside.items():
        text = (
            f"{count} images are of a {name} that {entry} does not declare, such as this: "
            "registered all the same"
        )
        yield Problem("warning", example[name], text)
    for well in sorted({index.well for index in images.of_index} - wells):
        if not htd.has_well(well):
            text = f"well {well} lies outside the plate of {htd.rows} x {htd.columns} wells"
            yield Problem("error", entry, text)
