"""ImageXpress plates of Molecular Devices, by their HTD file and the names of their images.

The HTD tells what was to be taken, the names tell which file holds what. An
image that is declared, but not there, is absent. Plates from MetaXpress'
database have no HTD: their names, which end with GUIDs, tell all that is known.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.tiff_structure import check_tiff
from imextract.registration.channels import distinct
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.manifest import ChannelInfo, Manifest, Problem, SiteKey
from imextract.registration.microscopes.htd import LARGEST_HTD, Htd, parse_htd
from imextract.registration.microscopes.imagexpress_checks import (
    differing_copies,
    filed_projections,
    newer_version,
    projection_problems,
    undeclared,
)
from imextract.registration.microscopes.imagexpress_images import (
    Images,
    Index,
    sorted_images,
    zstep_um,
)
from imextract.registration.microscopes.imagexpress_names import (
    ImageName,
    parse_image_path,
    plate_root,
)
from imextract.registration.microscopes.metaseries import Metaseries, read_metaseries
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.objectives import objective_names
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_text import read_text

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

# A plan of so many more planes than there are images is damage, or of another plate.
_MOST_DECLARED_PER_IMAGE = 1000
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FEW_DECLARED = 100_000

# A folder and the name of a plate, whatever its case.
_Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class _Group:
    """Files of one plate in one folder."""

    htds: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    # One of those that no other microscope would name so.
    certain: str | None = None


def claim(found: FoundFiles) -> list[Claim]:
    """Claim the images that lie with an HTD, and those named with GUIDs or time points."""
    groups: defaultdict[_Key, _Group] = defaultdict(_Group)
    images: defaultdict[_Key, _Group] = defaultdict(_Group)
    for path in found.files:
        if path.lower().endswith(".htd"):
            folder, _, file_name = path.rpartition("/")
            groups[plate_root(folder), file_name[:-4].casefold()].htds.append(path)
        elif (name := parse_image_path(path)) is not None:
            group = images[name.root, name.plate.casefold()]
            group.images.append(path)
            if group.certain is None and _is_certain(name):
                group.certain = path
    with_htd = frozenset(groups)
    for key, group in images.items():
        owner = _owner(key, with_htd, images)
        if owner is not None:
            groups[owner].images.extend(group.images)
        elif group.certain is not None and _is_plane(found, group.certain):
            groups[key] = group
    return [
        Claim(root, _entry(group), frozenset(group.htds + group.images))
        for (root, _), group in groups.items()
    ]


def _is_certain(name: ImageName) -> bool:
    """Whether no other microscope would write such a name there."""
    return not name.is_thumbnail and (name.has_guid or name.tpoint is not None)


def _is_plane(found: FoundFiles, path: str) -> bool:
    """Tell by one image whether a file is one plane, where names alone tell of an ImageXpress."""
    try:
        count = check_tiff(found.folder / path).plane_count
    except SourceFileError:
        # What is wrong with it, reading tells.
        return True
    if count == 1:
        return True
    text = (
        f"is named as by an ImageXpress, but holds {count} planes, where that "
        "writes one: its plate is left to other microscope types"
    )
    found.problems.append(Problem("warning", path, text))
    return False


def _owner(key: _Key, with_htd: AbstractSet[_Key], images: Collection[_Key]) -> _Key | None:
    """Give the key of the HTD that images belong to."""
    if key in with_htd:
        return key
    return _renamed(key, with_htd, images) or _above(key, with_htd, images)


def _renamed(key: _Key, with_htd: AbstractSet[_Key], images: Collection[_Key]) -> _Key | None:
    """Give the HTD of the folder, if it can be of no other images of the folder."""
    htds = [other for other in with_htd if other[0] == key[0]]
    rivals = [other for other in images if other[0] == key[0]]
    return htds[0] if len(htds) == 1 and rivals == [key] else None


def _above(key: _Key, with_htd: AbstractSet[_Key], images: Collection[_Key]) -> _Key | None:
    """Give the nearest HTD of the plate's name above, if it can be of no other images."""
    root, plate = key
    while root:
        root = root.rpartition("/")[0]
        if (root, plate) in with_htd:
            start = f"{root}/" if root else ""
            rivals = [
                other
                for other in images
                if other[1] == plate and (other[0] == root or other[0].startswith(start))
            ]
            return (root, plate) if rivals == [key] else None
    return None


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
    text = read_text(found.folder / claim.entry, LARGEST_HTD) if htds else None
    htd = _parse(claim.entry, text) if text is not None else None
    images = sorted_images(paths)
    problems = [*projection_problems(images), *differing_copies(found, htds, claim.entry)]
    if htd is not None:
        _refuse_alone(claim.entry, htd, images)
        _refuse_absurd(claim.entry, htd, images)
        problems.extend(newer_version(claim.entry, htd))
        problems.extend(undeclared(claim.entry, htd, images))
    plate = _plate_name(found, claim)
    facts = {
        path: read_metaseries(found.folder / path)
        for group in images.of_index.values()
        for path in group
    }
    problems.extend(filed_projections(images, facts))
    channels = _channels(htd, images, facts)
    logger.info("%s: %d images", claim.entry, len(facts))
    return manifest_of_planes(
        found,
        "imagexpress",
        _planes(plate, htd, images, facts, channels),
        acquisition=_acquisition_name(found, claim),
        options=options,
        settings=settings,
        channels=channels,
        # The user's name of the plate is given to it later.
        site_cells=_site_cells({plate, options.plate or plate}, htd, images),
        metadata=htds,
        metadata_text=text,
        objective=objective_names(known.objective for known in facts.values()),
        problems=problems,
    )


def _parse(path: str, text: str) -> Htd:
    try:
        return parse_htd(text)
    except SourceFileError as error:
        raise SourceFileError(
            f"{path}: {error}; copy it again from the microscope, or move it out of the folder"
        ) from error


def _plate_name(found: FoundFiles, claim: Claim) -> str:
    """Name the plate: by its HTD, else by its folder.

    Names of images begin alike for all plates of a screen, where they were
    not exported from a database, which keeps them below date and number.
    """
    name = parse_image_path(claim.entry)
    if name is None:
        return claim.entry.rpartition("/")[2][: -len(".htd")]
    folder = found.folder / claim.root
    return name.plate if _is_of_database(folder) else folder.name or name.plate


def _acquisition_name(found: FoundFiles, claim: Claim) -> str | None:
    """Name the acquisition as the database does that keeps a plate once for each."""
    folder = found.folder / claim.root
    return f"{folder.parent.name}_{folder.name}" if _is_of_database(folder) else None


def _is_of_database(folder: Path) -> bool:
    return folder.name.isdigit() and _DATE.fullmatch(folder.parent.name) is not None


def _planes(
    plate: str,
    htd: Htd | None,
    images: Images,
    facts: Mapping[str, Metaseries],
    channels: Sequence[ChannelInfo],
) -> Iterator[PlaneFile]:
    start = min((fact.time_s for fact in facts.values() if fact.time_s is not None), default=0.0)
    step_um = zstep_um(images, facts)
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


def _declared(htd: Htd, flat_waves: frozenset[int]) -> Iterator[Index]:
    for well in htd.wells:
        for site in range(htd.site_count):
            for wave in range(len(htd.waves)):
                for tpoint in range(htd.tpoints):
                    for zstep in range(1 if wave in flat_waves else htd.zsteps):
                        yield Index(well, site, wave, tpoint, zstep)


def _channels(
    htd: Htd | None, images: Images, facts: Mapping[str, Metaseries]
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


def _site_cells(
    plates: set[str], htd: Htd | None, images: Images
) -> dict[SiteKey, tuple[int, int]]:
    if htd is None:
        return {}
    wells = {*htd.wells, *(index.well for index in images.of_index)}
    cells = htd.site_cells or ((0, 0),)
    return {
        SiteKey(plate, well, site): cell
        for plate in plates
        for well in wells
        for site, cell in enumerate(cells)
    }


def _refuse_alone(entry: str, htd: Htd, images: Images) -> None:
    if not images.of_index and not images.projections:
        folder, _, name = entry.rpartition("/")
        raise RegistrationError(
            f"{entry}: declares {htd.plane_count} planes, but no image was found for it: expected "
            f"{name[: -len('.htd')]}_A01_s1_w1.TIF and the like in {folder or 'its folder'} or in "
            "TimePoint_n and ZStep_n folders there, or in one other folder below; "
            "move the HTD to its images, or copy them there"
        )


def _refuse_absurd(entry: str, htd: Htd, images: Images) -> None:
    count = len(images.of_index)
    if htd.plane_count > _FEW_DECLARED + _MOST_DECLARED_PER_IMAGE * count:
        raise SourceFileError(
            f"{entry}: declares {htd.plane_count} planes, but only {count} images lie with it; "
            "copy the images, or correct the HTD"
        )
