"""PerkinElmer and Revvity Operetta and Opera Phenix, by the index that Harmony writes.

The index names the TIFF of every plane, so that no image needs opening to know
what it is. See docs/microscopes/operetta.md.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from imextract.config import Settings
from imextract.registration.channels import distinct
from imextract.registration.declared_sizes import size_problems
from imextract.registration.files import FoundFiles
from imextract.registration.indexed_images import (
    is_tiff_name,
    named_files,
    ranks,
    unnamed_problems,
    well_of,
)
from imextract.registration.lost_index import lost_index, orphans
from imextract.registration.manifest import ChannelInfo, Manifest, Problem
from imextract.registration.microscopes.operetta_index import (
    HarmonyImage,
    HarmonyIndex,
    is_harmony_index,
    read_index,
)
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.numbering import number_gaps
from imextract.registration.objectives import objective_names
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_xml import joined, read_head, read_text

__all__ = ["claim", "read"]

_NAME = "operetta"
# The best first: Harmony writes the first, newer ones the second; the third
# names images that another measurement holds.
_INDEX_NAMES = ("index.idx.xml", "index.xml", "index.ref.xml")
# Beside the folder of images, and without images.
_COMPANION_FOLDERS = frozenset({"assaylayout", "ffc_profile", "flatfieldcorrection"})
# Such as r01c01f01p01-ch1sk1fk1fl1.tiff: no other program names images so.
_IMAGE_NAME = re.compile(
    r"r([0-9]{2})c([0-9]{2})f([0-9]+)p([0-9]+)-ch([0-9]+)sk[0-9]+fk[0-9]+fl[0-9]+\.tiff?"
)
_COLUMBUS = "columbusidx.xml"
_URL = re.compile(rb"<(?:[A-Za-z]+:)?URL(?:\s[^>]*)?>(?P<name>[^<]*)<")
_OK_STATES = frozenset({"", "ok"})
_MOST_NAMED = 10


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim the folders that hold an index of Harmony, or images that lost theirs."""
    indices: defaultdict[str, list[str]] = defaultdict(list)
    named = {path.rpartition("/")[0] for path in found.files if _is_image(path.rpartition("/")[2])}
    for path in found.files:
        folder, _, name = path.rpartition("/")
        if name.lower() in _INDEX_NAMES and (folder in named or _is_index(found, path)):
            indices[folder].append(path)
    by_folder, companions = found.by_folder(), _companions(found)
    claims = [
        _claim(found, paths, [*by_folder[folder], *companions.get(_measurement(folder), ())])
        for folder, paths in indices.items()
    ]
    return claims if _is_columbus(found) else [*claims, *orphans(found, claims, _is_image)]


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Read a plate by its index.

    Raises
    ------
    RegistrationError, SourceFileError
        If the index is missing, cannot be read or is of no known version.
    """
    if is_tiff_name(claim.entry):
        remedy = "--pattern harmony or --microscope bioformats"
        raise lost_index(claim, "Harmony (Operetta, Opera Phenix)", "Index.idx.xml", remedy)
    index = read_index(found.folder / claim.entry)
    problems = [*_plate_problems(claim, index), *_state_problems(found, claim, index)]
    named = {joined(claim.root, image.url) for image in index.images}
    tiffs = filter(is_tiff_name, found.files)
    problems.extend(unnamed_problems(claim.entry, tiffs, named))
    problems.extend((*_gaps(claim, index), *_name_problems(claim, index)))
    channels = _channels(index)
    manifest = manifest_of_planes(
        found,
        _NAME,
        _planes(claim, index, channels, index.plate or claim.root or found.name),
        acquisition=None,
        options=options,
        settings=settings,
        channels=list(channels.values()),
        metadata=[claim.entry, *sorted(_metadata(claim) - {claim.entry})],
        metadata_text=read_text(found.folder / claim.entry),
        objective=objective_names(index.objectives.values()),
        problems=problems,
        y_grows_up=True,
    )
    manifest.problems.extend(size_problems(claim.entry, index.sizes, manifest))
    return manifest


def _is_index(found: FoundFiles, path: str) -> bool:
    # A name of its own is enough: what is wrong with the file, reading it tells.
    is_own_name = path.lower().endswith(".idx.xml")
    return is_own_name or is_harmony_index(read_head(found.folder / path))


def _is_image(name: str) -> bool:
    return _IMAGE_NAME.fullmatch(name) is not None


def _is_columbus(found: FoundFiles) -> bool:
    """Tell whether an index of Columbus, which Bio-Formats reads, may name the images."""
    return any(path.lower().endswith(_COLUMBUS) for path in found.files)


def _claim(found: FoundFiles, indices: Sequence[str], beside: Iterable[str]) -> Claim:
    def rank(path: str) -> tuple[int, str]:
        return _INDEX_NAMES.index(path.rpartition("/")[2].lower()), path

    entry = min(indices, key=rank)
    files = {*indices, *named_files(found, entry, _URL)}
    # Bio-Formats takes any TIFF beside an index for the whole plate.
    folder = entry.rpartition("/")[0]
    files.update(path for path in beside if path.rpartition("/")[0] != folder or is_tiff_name(path))
    return Claim(folder, entry, frozenset(files))


def _companions(found: FoundFiles) -> Mapping[str | None, Sequence[str]]:
    """Give the files without images beside the folders of images, by their measurement."""
    companions: defaultdict[str | None, list[str]] = defaultdict(list)
    for path in found.files:
        *folders, _ = path.split("/")
        for depth, folder in enumerate(folders):
            if folder.lower() in _COMPANION_FOLDERS:
                companions["/".join(folders[:depth])].append(path)
    return companions


def _measurement(folder: str) -> str | None:
    """Give the folder of the measurement whose images a folder holds; None if it is none."""
    measurement, _, name = folder.rpartition("/")
    return measurement if name.lower() == "images" else None


def _metadata(claim: Claim) -> set[str]:
    return {path for path in claim.files if not is_tiff_name(path)}


def _channels(index: HarmonyIndex) -> dict[int, ChannelInfo]:
    """Give the channels by their number, with distinct names."""
    numbers = sorted(index.channels)
    names = distinct(index.channels[number].name or f"channel_{number}" for number in numbers)
    return {
        number: ChannelInfo(
            name, index.channels[number].excitation_nm, index.channels[number].emission_nm
        )
        for number, name in zip(numbers, names, strict=True)
    }


def _gaps(claim: Claim, index: HarmonyIndex) -> Iterator[Problem]:
    numbers = {
        "field": [image.field for image in index.images],
        "time point": [image.tpoint for image in index.images],
        "plane": [image.plane for image in index.images],
    }
    return number_gaps(claim.entry, numbers)


def _planes(
    claim: Claim, index: HarmonyIndex, channels: dict[int, ChannelInfo], plate: str
) -> Iterator[PlaneFile]:
    sites = ranks(image.field for image in index.images)
    tpoints = ranks(image.tpoint for image in index.images)
    zplanes = ranks(image.plane for image in index.images)
    steps = _z_steps(index)
    for image in index.images:
        yield PlaneFile(
            plate=plate,
            well=well_of(claim.entry, image.row, image.column, image.url),
            site=sites[image.field],
            channel=channels[image.channel].name,
            tpoint=tpoints[image.tpoint],
            zplane=zplanes[image.plane],
            # A plane that was not recorded has no name.
            path=joined(claim.root, image.url) if image.url else None,
            pixel_size_x_um=image.pixel_size_x_um,
            pixel_size_y_um=image.pixel_size_y_um,
            pixel_size_z_um=steps.get((image.row, image.column, image.field)),
            stage_x_um=image.position_x_um,
            stage_y_um=image.position_y_um,
            stage_z_um=image.position_z_um,
            time_stamp_s=image.offset_s,
            exposure_ms=None if image.exposure_s is None else image.exposure_s * 1000,
        )


def _z_steps(index: HarmonyIndex) -> dict[tuple[int, int, int], float]:
    """Give the distance of the planes of each field, from the first and the last one."""
    ends: dict[tuple[int, int, int], list[tuple[int, float]]] = {}
    numbers: defaultdict[tuple[int, int, int], set[int]] = defaultdict(set)
    for image in index.images:
        if image.position_z_um is None:
            continue
        key = image.row, image.column, image.field
        here = image.plane, image.position_z_um
        first, last = ends.setdefault(key, [here, here])
        ends[key] = [min(first, here), max(last, here)]
        numbers[key].add(image.plane)
    return {
        key: abs(last[1] - first[1]) / (len(numbers[key]) - 1)
        for key, (first, last) in ends.items()
        if len(numbers[key]) > 1 and last[1] != first[1]
    }


def _plate_problems(claim: Claim, index: HarmonyIndex) -> Iterator[Problem]:
    rows, columns = index.rows, index.columns
    if rows is None or columns is None:
        return
    outside = sorted(
        {(one.row, one.column) for one in index.images if one.row > rows or one.column > columns}
    )
    if outside:
        row, column = outside[0]
        text = (
            f"{len(outside)} wells lie outside the plate of {rows} rows and {columns} columns, "
            f"such as row {row}, column {column}; correct PlateRows and PlateColumns"
        )
        yield Problem("error", claim.entry, text)


def _name_problems(claim: Claim, index: HarmonyIndex) -> Iterator[Problem]:
    """Say that images are named as other planes than the index tells."""
    others = [image.url for image in index.images if _is_named_otherwise(image)]
    if others:
        text = (
            f"{len(others)} images are named as other planes than {claim.entry} tells, such as "
            "this: the index is believed; look whether they were renamed"
        )
        yield Problem("warning", joined(claim.root, others[0]), text)


def _is_named_otherwise(image: HarmonyImage) -> bool:
    match = _IMAGE_NAME.fullmatch(image.url.rpartition("/")[2])
    told = image.row, image.column, image.field, image.plane, image.channel
    return match is not None and tuple(map(int, match.groups())) != told


def _state_problems(found: FoundFiles, claim: Claim, index: HarmonyIndex) -> Iterator[Problem]:
    """Name the planes that the microscope says went wrong, and that are there all the same."""
    doubtful = [
        image
        for image in index.images
        if image.state.lower() not in _OK_STATES and joined(claim.root, image.url) in found.files
    ]
    for image in doubtful[:_MOST_NAMED]:
        text = f"is there, though the microscope calls it {image.state!r}; look at the image"
        yield Problem("warning", joined(claim.root, image.url), text)
    if len(doubtful) > _MOST_NAMED:
        more = len(doubtful) - _MOST_NAMED
        yield Problem("warning", claim.entry, f"{more} more images are in a state other than 'Ok'")
