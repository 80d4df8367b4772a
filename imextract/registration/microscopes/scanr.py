"""Olympus and Evident ScanR, by the names of its images and its descriptor.

Names tell which plane each file is; the descriptor, where it is there, what
the wells are called, where fields lie, and what should be there. See
docs/microscopes/scanr.md.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.tiff_structure import check_tiff
from imextract.registration.files import FoundFiles
from imextract.registration.indexed_images import is_tiff_name, ranks, unnamed_problems
from imextract.registration.manifest import ChannelInfo, Manifest, Problem
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.microscopes.scanr_descriptor import (
    ScanrDescriptor,
    descriptor_text,
    read_descriptor,
)
from imextract.registration.microscopes.scanr_wells import WellNames
from imextract.registration.numbering import number_gaps
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes

__all__ = ["claim", "read"]

_TYPE = "scanr"
_DESCRIPTOR = "experiment_descriptor.xml"
_DATA = "data"
_METADATA = (".dat", ".xml")
_NAME = re.compile(
    r"(?P<label>[^/]*?)--W(?P<w>[0-9]{5})--P(?P<p>[0-9]{5})--Z(?P<z>[0-9]{5})--T(?P<t>[0-9]{5})"
    r"--(?P<channel>[^/]+)\.tiff?",
    re.IGNORECASE | re.DOTALL,
)
_MOST_PLANES = 5_000_000


@dataclass(frozen=True, slots=True)
class _Image:
    """What the name of a file says; numbers are the microscope's."""

    path: str
    label: str
    well: int
    position: int
    zplane: int
    tpoint: int
    channel: str

    @property
    def key(self) -> tuple[int, int, str, int, int]:
        return self.well, self.position, self.channel, self.tpoint, self.zplane


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim the images that a ScanR named, with the descriptor above them."""
    roots: defaultdict[str, list[str]] = defaultdict(list)
    for path in found.files:
        if _NAME.fullmatch(path.rpartition("/")[2]):
            roots[_root(found, path)].append(path)
    by_folder = found.by_folder()
    claims = [_claim(found, by_folder, root, images) for root, images in roots.items()]
    return [claim for claim in claims if _has_descriptor(claim) or _is_of_planes(found, claim)]


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Read a plate by the names of its images.

    Raises
    ------
    RegistrationError, SourceFileError
        If the descriptor cannot be read.
    """
    has_descriptor = _has_descriptor(claim)
    entry = found.folder / claim.entry
    descriptor = read_descriptor(entry) if has_descriptor else ScanrDescriptor()
    images = [image for path in found.files if (image := _image(path)) is not None]
    wells = WellNames(claim.entry, descriptor)
    for image in images:
        wells.add(image.well, image.label)
    metadata = sorted(path for path in claim.files if path.lower().endswith(_METADATA))
    tiffs = filter(is_tiff_name, found.files)
    named = {image.path for image in images}
    everything = [*images, *_absent(claim, images, descriptor)]
    planes = list(_planes(found, claim, everything, descriptor, wells))
    return manifest_of_planes(
        found,
        _TYPE,
        planes,
        acquisition=None,
        options=options,
        settings=settings,
        channels=[ChannelInfo(channel.name) for channel in descriptor.channels],
        metadata=sorted(metadata, key=lambda path: path != claim.entry),
        metadata_text=descriptor_text(entry) if has_descriptor else None,
        problems=[
            *wells.problems(),
            *unnamed_problems(claim.entry, tiffs, named),
            *_gaps(claim, everything),
        ],
        y_grows_up=True,
    )


def _root(found: FoundFiles, path: str) -> str:
    """Give the folder of the plate of an image: the nearest one with a descriptor, or its own."""
    folder = own = path.rpartition("/")[0]
    while True:
        if (f"{folder}/{_DESCRIPTOR}" if folder else _DESCRIPTOR) in found.files:
            return folder
        if not folder:
            return own
        folder = folder.rpartition("/")[0]


def _claim(
    found: FoundFiles, by_folder: Mapping[str, Sequence[str]], root: str, images: Sequence[str]
) -> Claim:
    start = f"{root}/" if root else ""
    folders = {path.rpartition("/")[0] for path in images} | {root, f"{start}{_DATA}"}
    # Bio-Formats takes any TIFF beside a descriptor for the whole plate.
    others = {
        path
        for folder in folders
        for path in by_folder.get(folder, ())
        if path.lower().endswith((*_METADATA, ".tif", ".tiff"))
    }
    descriptor = f"{start}{_DESCRIPTOR}"
    if descriptor in found.files:
        return Claim(root, descriptor, frozenset(others.union(images)))
    return Claim(root, images[0], frozenset(images))


def _has_descriptor(claim: Claim) -> bool:
    return claim.entry.rpartition("/")[2].lower() == _DESCRIPTOR


def _is_of_planes(found: FoundFiles, claim: Claim) -> bool:
    """Tell by one image whether a file is one plane, where names alone tell of a ScanR."""
    try:
        count = check_tiff(found.folder / claim.entry).plane_count
    except SourceFileError:
        # What is wrong with it, reading tells.
        return True
    if count == 1:
        return True
    text = (
        f"is named as by a ScanR, but holds {count} planes, where that writes "
        "one: its folder is left to other microscope types"
    )
    found.problems.append(Problem("warning", claim.entry, text))
    return False


def _image(path: str) -> _Image | None:
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    numbers = (int(match[group]) for group in "wpzt")
    well, position, zplane, tpoint = numbers
    return _Image(path, match["label"], well, position, zplane, tpoint, match["channel"])


def _gaps(claim: Claim, images: Sequence[_Image]) -> Iterator[Problem]:
    numbers = {
        "position": [image.position for image in images],
        "time point": [image.tpoint for image in images],
        "plane": [image.zplane for image in images],
    }
    return number_gaps(claim.entry, numbers)


def _planes(
    found: FoundFiles,
    claim: Claim,
    images: Sequence[_Image],
    descriptor: ScanrDescriptor,
    wells: WellNames,
) -> Iterator[PlaneFile]:
    sites = ranks(image.position for image in images)
    tpoints = ranks(image.tpoint for image in images)
    zplanes = ranks(image.zplane for image in images)
    plate = descriptor.plate or _folder_name(found, claim.root)
    exposures = {channel.name: channel.exposure_ms for channel in descriptor.channels}
    stages = dict(enumerate(descriptor.positions, start=1))
    for image in images:
        x, y = stages.get(image.position, (None, None))
        yield PlaneFile(
            plate=plate,
            well=wells.name(image.well),
            site=sites[image.position],
            channel=image.channel,
            tpoint=tpoints[image.tpoint],
            zplane=zplanes[image.zplane],
            path=image.path or None,
            pixel_size_x_um=descriptor.pixel_size_um,
            pixel_size_y_um=descriptor.pixel_size_um,
            pixel_size_z_um=descriptor.z_step_um if len(zplanes) > 1 else None,
            stage_x_um=x,
            stage_y_um=y,
            exposure_ms=exposures.get(image.channel),
        )


def _folder_name(found: FoundFiles, root: str) -> str:
    names = [found.name, *root.split("/")] if root else [found.name]
    if names[-1].lower() == _DATA and len(names) > 1:
        names.pop()
    return names[-1]


def _absent(
    claim: Claim, images: Sequence[_Image], descriptor: ScanrDescriptor
) -> Iterator[_Image]:
    """Give the planes that are declared for the wells that were imaged, but have no file."""
    if not _has_descriptor(claim):
        return
    wells = sorted({image.well for image in images})
    positions = _declared(descriptor.fields, 1, {image.position for image in images})
    zplanes = _declared(descriptor.slices, 0, {image.zplane for image in images})
    tpoints = _declared(descriptor.tpoints, 0, {image.tpoint for image in images})
    channels = _declared_channels(descriptor, images)
    count = len(wells) * len(positions) * len(zplanes) * len(tpoints) * len(channels)
    if count > _MOST_PLANES:
        raise RegistrationError(
            f"{claim.entry}: declares {count} planes, expected at most {_MOST_PLANES}; "
            "copy the file again from the microscope"
        )
    present = {image.key for image in images}
    for key in product(wells, positions, channels, tpoints, zplanes):
        if key not in present:
            well, position, channel, tpoint, zplane = key
            yield _Image("", "", well, position, zplane, tpoint, channel)


def _declared(count: int | None, first: int, seen: set[int]) -> Sequence[int]:
    return sorted(seen | set(range(first, first + (count or 0))))


def _declared_channels(descriptor: ScanrDescriptor, images: Sequence[_Image]) -> Sequence[str]:
    seen = dict.fromkeys(image.channel for image in images)
    declared = [channel.name for channel in descriptor.channels]
    if len(declared) == len(seen):
        # As many, but perhaps spelt otherwise: names of files cannot have all letters.
        return list(seen)
    return list(dict.fromkeys([*declared, *seen]))
