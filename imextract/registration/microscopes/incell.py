"""GE and Cytiva IN Cell Analyzer, by the `.xdce` that names the TIFF of every plane.

See docs/microscopes/incell.md.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

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
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.microscopes.xdce import Wavelength, Xdce, read_xdce
from imextract.registration.numbering import number_gaps
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_xml import joined, read_text

__all__ = ["claim", "read"]

_NAME = "incell"
_FILENAME = re.compile(rb"\sfilename=(?P<quote>[\"'])(?P<name>.*?)(?P=quote)")
_FILE = re.compile(rb"\s(?:filename|thumbnail)=(?P<quote>[\"'])(?P<name>.*?)(?P=quote)")
# Such as A - 1(fld 1 wv DAPI - DAPI z 1).tif
_IMAGE_NAME = re.compile(r"[A-Z]{1,2} - [0-9]{1,2}\(fld [^/]*\.tiff?", re.IGNORECASE)
_THUMBNAILS = frozenset({"thumbs", "thumbnails"})


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim the folders that hold an `.xdce`, where its images are TIFFs, or lost theirs."""
    named = {
        path: {path, *named_files(found, path, _FILE)}
        for path in found.files
        if path.lower().endswith(".xdce") and _has_tiffs_only(found, path)
    }
    claims = list(_claims(found, named))
    return [*claims, *orphans(found, claims, _is_image)]


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Read a plate by its index.

    Raises
    ------
    RegistrationError, SourceFileError
        If the index is missing or cannot be read.
    """
    if is_tiff_name(claim.entry):
        remedy = "--pattern incell or --microscope bioformats"
        raise lost_index(claim, "an IN Cell Analyzer", ".xdce", remedy)
    index = read_xdce(found.folder / claim.entry)
    channels = _channels(index)
    named = {joined(claim.root, image.filename) for image in index.images}
    others = filter(_is_image, found.files)
    problems = [
        *_plate_problems(claim, index),
        *unnamed_problems(claim.entry, others, named),
        *_gaps(claim, index),
    ]
    manifest = manifest_of_planes(
        found,
        _NAME,
        _planes(claim, index, channels),
        acquisition=None,
        options=options,
        settings=settings,
        channels=list(channels.values()),
        metadata=[claim.entry, *sorted(path for path in claim.files if _is_log(path))],
        metadata_text=read_text(found.folder / claim.entry),
        objective=index.objective,
        problems=problems,
        y_grows_up=True,
    )
    manifest.problems.extend(size_problems(claim.entry, index.sizes, manifest))
    return manifest


def _has_tiffs_only(found: FoundFiles, entry: str) -> bool:
    # An older model wrote raw images (.im), which Bio-Formats reads.
    names = named_files(found, entry, _FILENAME)
    return all(map(is_tiff_name, names))


def _claims(found: FoundFiles, named: Mapping[str, set[str]]) -> Iterator[Claim]:
    """Give each index what it names; what none names is the first's of the folder."""
    owned = set().union(*named.values())
    beside_of = _beside_of(found)
    for entry, files in named.items():
        root = entry.rpartition("/")[0]
        beside = beside_of.get(root, set()) - owned
        owned |= beside
        yield Claim(root, entry, frozenset(files | beside))


def _beside_of(found: FoundFiles) -> Mapping[str, set[str]]:
    """Give, by folder, the files that the microscope puts beside an index there."""
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for path in found.files:
        folder, _, name = path.rpartition("/")
        above, _, folder_name = folder.rpartition("/")
        if folder and folder_name.lower() in _THUMBNAILS:
            beside[above].add(path)
        if _is_image(name) or _is_log(name):
            beside[folder].add(path)
    return beside


def _is_log(path: str) -> bool:
    return path.lower().endswith(".xlog")


def _is_image(path: str) -> bool:
    return _IMAGE_NAME.fullmatch(path.rpartition("/")[2]) is not None


def _channels(index: Xdce) -> dict[int, ChannelInfo]:
    """Give the channels by their index, with distinct names."""
    waves = {image.wave: Wavelength() for image in index.images} | index.wavelengths
    waves = {number: waves[number] for number in sorted(waves)}
    names = [wave.emission or wave.excitation for wave in waves.values()]
    if len(set(names)) < len(names):
        # One emission filter, but lit in several ways.
        names = [
            " - ".join(filter(None, (wave.excitation, wave.emission))) for wave in waves.values()
        ]
    named = distinct(name or f"channel_{number}" for name, number in zip(names, waves, strict=True))
    return {
        number: ChannelInfo(name, wave.excitation_nm, wave.emission_nm)
        for name, (number, wave) in zip(named, waves.items(), strict=True)
    }


def _gaps(claim: Claim, index: Xdce) -> Iterator[Problem]:
    numbers = {
        "field": [image.field for image in index.images],
        "time point": [image.tpoint for image in index.images],
        "plane": [image.zplane for image in index.images],
    }
    return number_gaps(claim.entry, numbers)


def _planes(claim: Claim, index: Xdce, channels: dict[int, ChannelInfo]) -> Iterator[PlaneFile]:
    sites = ranks(image.field for image in index.images)
    tpoints = ranks(image.tpoint for image in index.images)
    zplanes = ranks(image.zplane for image in index.images)
    plate = claim.entry.rpartition("/")[2].rpartition(".")[0]
    for image in index.images:
        yield PlaneFile(
            plate=plate,
            well=well_of(claim.entry, image.row, image.column, image.filename),
            site=sites[image.field],
            channel=channels[image.wave].name,
            tpoint=tpoints[image.tpoint],
            zplane=zplanes[image.zplane],
            path=joined(claim.root, image.filename) if image.filename else None,
            pixel_size_x_um=index.pixel_size_x_um,
            pixel_size_y_um=index.pixel_size_y_um,
            pixel_size_z_um=index.z_step_um if len(zplanes) > 1 else None,
            stage_x_um=image.x_um,
            stage_y_um=image.y_um,
            stage_z_um=image.z_um,
            time_stamp_s=image.time_s,
            exposure_ms=image.exposure_ms,
        )


def _plate_problems(claim: Claim, index: Xdce) -> Iterator[Problem]:
    rows, columns = index.rows, index.columns
    outside = sorted(
        {
            (image.row, image.column)
            for image in index.images
            if rows is not None and columns is not None
            if image.row > rows or image.column > columns
        }
    )
    if outside:
        row, column = outside[0]
        text = (
            f"{len(outside)} wells lie outside the plate of {rows} rows and {columns} columns, "
            f"such as row {row}, column {column}; correct rows and columns of Plate"
        )
        yield Problem("error", claim.entry, text)
    declared = index.declared_images
    if declared is not None and declared != len(index.images):
        text = (
            f"declares {declared} images, but names {len(index.images)}: only those are "
            "registered; copy the file again from the microscope"
        )
        yield Problem("warning", claim.entry, text)
