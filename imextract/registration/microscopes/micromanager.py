"""Micro-Manager: stacks (MMStack), and folders of one file per plane with `metadata.txt`."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.registration.channels import distinct
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.local_names import why_not_local
from imextract.registration.lost_index import lost_index, orphans
from imextract.registration.manifest import ChannelInfo, Manifest, Problem, SiteKey
from imextract.registration.micromanager_json import (
    Coordinates,
    Facts,
    Summary,
    coordinates,
    facts,
    read_entries,
    summary,
)
from imextract.registration.micromanager_stack import is_micromanager, read_stack
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.objectives import objective_names
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.tiff_header import read_tiff_header
from imextract.registration.vendor_text import read_text

__all__ = ["claim", "read"]

_STACK = re.compile(r"(?P<prefix>.*)_MMStack(?:_.*)?\.ome\.tiff?", re.IGNORECASE | re.DOTALL)
_STACK_METADATA = re.compile(r"_MMStack(?:_.*)?_metadata\.txt", re.IGNORECASE | re.DOTALL)
_OLD_NAME = re.compile(r"img_([0-9]{1,9})_(.*)_([0-9]{1,6})\.tiff?", re.DOTALL)
# Nobody else pads numbers so; other names are taken for images where metadata say so.
_PADDED_OLD_NAME = re.compile(r"img_[0-9]{9}_.*_[0-9]{3}\.tif", re.DOTALL)
_NEW_NAME = re.compile(r"img_channel([0-9]+)_position([0-9]+)_time([0-9]+)_z([0-9]+)\.tiff?")
_FRAME = "FrameKey-"
_COORDS, _METADATA = "Coords-", "Metadata-"
_BESIDE = frozenset(
    {"comments.txt", "display_settings.txt", "display_and_comments.txt", "displaysettings.json"}
)
_METADATA_NAME = "metadata.txt"
_LARGEST_BYTES = 512 * 2**20
_PROBED = 3
_DEFAULT_WELL = "A01"


@dataclass(slots=True)
class _Acquisition:
    """What is known of an acquisition: what was meant, and what is there."""

    summary: Summary
    planes: list["_Plane"] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def warn(self, path: str, text: str) -> None:
        self.problems.append(Problem("warning", path, text))


@dataclass(frozen=True, slots=True)
class _Plane:
    path: str
    page: int
    coordinates: Coordinates
    facts: Facts


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim stacks by the part of their names that is common, folders by their metadata."""
    by_folder = found.by_folder()
    claims = [*_stack_claims(found, by_folder), *_folder_claims(found, by_folder)]
    # What lies beside metadata and is not claimed is in colour.
    told = (folder for folder, paths in by_folder.items() if _METADATA_NAME in map(_name, paths))
    told_files = frozenset(path for folder in told for path in by_folder[folder])
    return [*claims, *orphans(found, [*claims, Claim("", "", told_files)], _is_surely_image)]


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Give the planes of an acquisition, and those that were meant but are not there.

    Raises
    ------
    SourceFileError
        If the metadata make no sense.
    RegistrationError
        If the metadata are missing, or no plane can be read.
    """
    if _is_image(_name(claim.entry)):
        raise lost_index(claim, "Micro-Manager", _METADATA_NAME, "--microscope bioformats")
    is_stack = _STACK.fullmatch(_name(claim.entry)) is not None
    acquisition = _read_stacks(found, claim) if is_stack else _read_folders(found, claim)
    channels = _channels(acquisition)
    planes = list(_plane_files(_plate_name(found, claim, is_stack), acquisition, channels))
    manifest = manifest_of_planes(
        found,
        "micromanager",
        planes,
        acquisition=None,
        options=options,
        settings=settings,
        channels=channels,
        site_cells=_cells(planes, acquisition.summary),
        metadata=acquisition.metadata,
        metadata_text="\n".join(acquisition.texts) or None,
        objective=objective_names(plane.facts.objective for plane in acquisition.planes),
        problems=acquisition.problems,
    )
    _name_sites(manifest, acquisition)
    return manifest


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stack_claims(found: FoundFiles, by_folder: Mapping[str, Sequence[str]]) -> Iterator[Claim]:
    for folder, paths in by_folder.items():
        sets: defaultdict[str, list[str]] = defaultdict(list)
        for path in paths:
            match = _STACK.fullmatch(_name(path))
            if match is not None:
                sets[match["prefix"]].append(path)
        for prefix, stacks in sets.items():
            if any(_is_gray_stack(found, path) for path in stacks[:_PROBED]):
                beside = [path for path in paths if _is_beside(_name(path), prefix)]
                yield Claim(folder, stacks[0], frozenset({*stacks, *beside}))


def _is_gray_stack(found: FoundFiles, path: str) -> bool:
    full_path = found.folder / path
    if not is_micromanager(full_path):
        return False
    try:
        told = summary(read_stack(full_path).summary)
    except SourceFileError:
        return True
    return told is not None and not told.pixel_type.startswith("RGB")


def _is_beside(name: str, prefix: str) -> bool:
    is_own = name.startswith(prefix) and _STACK_METADATA.fullmatch(name[len(prefix) :])
    return bool(is_own) or name.lower() in _BESIDE


def _folder_claims(found: FoundFiles, by_folder: Mapping[str, Sequence[str]]) -> Iterator[Claim]:
    """Claim folders with metadata; those of the positions of one acquisition together."""
    sets: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for folder, paths in by_folder.items():
        entry = f"{folder}/{_METADATA_NAME}" if folder else _METADATA_NAME
        if entry in found.files and any(_is_image(_name(path)) for path in paths):
            is_sure = any(_is_surely_image(_name(path)) for path in paths)
            acquisition = _root_of(found, entry, is_sure=is_sure)
            if acquisition is not None:
                sets[acquisition].append(entry)
    for (root, _), entries in sets.items():
        files = set(entries)
        for entry in entries:
            files |= {
                path
                for path in by_folder[_parent(entry)]
                if _is_image(_name(path)) or _name(path).lower() in _BESIDE
            }
        yield Claim(root, min(entries, key=natural_order), frozenset(files))


def _is_image(name: str) -> bool:
    return bool(_OLD_NAME.fullmatch(name) or _NEW_NAME.fullmatch(name))


def _is_surely_image(name: str) -> bool:
    return bool(_PADDED_OLD_NAME.fullmatch(name) or _NEW_NAME.fullmatch(name))


def _root_of(found: FoundFiles, entry: str, *, is_sure: bool) -> tuple[str, str] | None:
    """Give the folder of the acquisition, and what tells it from others; None if it is none.

    A position has a folder of its own, called like it, unless there is only one.
    `is_sure` tells that the images beside it are Micro-Manager's by their names alone.
    """
    try:
        entries, _ = read_entries(read_text(found.folder / entry, _LARGEST_BYTES))
        told = summary(entries.get("Summary"))
    except SourceFileError:
        # Named as an error when it is read.
        return _parent(entry), entry
    if told is None:
        # That, too; others may call their notes so beside images of such names.
        return (_parent(entry), entry) if is_sure else None
    if told.pixel_type.startswith("RGB"):
        return None
    folder = _parent(entry)
    if _name(folder) in _position_names(entries) | set(told.labels):
        return _parent(folder), told.identity
    return folder, entry


def _position_names(entries: Mapping[str, Any]) -> set[str]:
    for key, value in entries.items():
        if key.startswith(_COORDS) and "/" in key:
            return {key[len(_COORDS) :].split("/")[0]}
        if key.startswith(_FRAME) and isinstance(value, Mapping):
            return {str(value.get("PositionName"))}
    return set()


def _plate_name(found: FoundFiles, claim: Claim, is_stack: bool) -> str:
    match = _STACK.fullmatch(_name(claim.entry)) if is_stack else None
    return (match["prefix"] if match else "") or _name(claim.root) or found.name


def _read_stacks(found: FoundFiles, claim: Claim) -> _Acquisition:
    acquisition: _Acquisition | None = None
    problems: list[Problem] = []
    for path in sorted(claim.files, key=natural_order):
        if _STACK.fullmatch(_name(path)) is None:
            continue
        try:
            stack = read_stack(found.folder / path)
            told = summary(stack.summary)
        except SourceFileError as error:
            problems.append(Problem("error", path, error.message))
            continue
        if acquisition is None and told is not None:
            acquisition = _Acquisition(told, texts=[json.dumps(stack.summary)])
        if acquisition is not None and _is_plain(found, path, problems):
            acquisition.planes.extend(
                _Plane(path, page.page, page.coordinates, page.facts) for page in stack.pages
            )
    if acquisition is None:
        reasons = "; ".join(problem.text for problem in problems)
        raise SourceFileError(
            f"{found.folder / claim.entry}: no stack of the acquisition tells what was meant"
            f"{f' ({reasons})' if reasons else ''}; copy the files again from the microscope"
        )
    acquisition.problems.extend(problems)
    acquisition.metadata = sorted(
        (path for path in claim.files if not _STACK.fullmatch(_name(path))), key=natural_order
    )
    return acquisition


def _is_plain(found: FoundFiles, path: str, problems: list[Problem]) -> bool:
    """Refuse a stack whose pages are not planes: Bio-Formats would open the whole set by it."""
    if read_tiff_header(found.folder / path) is not None:
        return True
    text = (
        "its pages are no plain planes of one size: left out; register the folder with "
        "--microscope bioformats"
    )
    problems.append(Problem("error", path, text))
    return False


def _read_folders(found: FoundFiles, claim: Claim) -> _Acquisition:
    entries = [path for path in claim.files if _name(path) == _METADATA_NAME]
    acquisition: _Acquisition | None = None
    for entry in sorted(entries, key=natural_order):
        text = read_text(found.folder / entry, _LARGEST_BYTES)
        told, is_whole = read_entries(text)
        try:
            meant = summary(told.get("Summary"))
        except SourceFileError as error:
            raise SourceFileError(f"{found.folder / entry}: {error.message}") from error
        if acquisition is None:
            if meant is None:
                raise SourceFileError(
                    f"{found.folder / entry}: expected a Summary of Micro-Manager; restore the file"
                )
            acquisition = _Acquisition(meant)
        acquisition.metadata.append(entry)
        acquisition.texts.append(text)
        if not is_whole:
            text = (
                "ends in the middle, as of an acquisition that was aborted: what it tells is read"
            )
            acquisition.warn(entry, text)
        _add_folder(acquisition, claim, entry, told)
    if acquisition is None:
        raise SourceFileError(f"{found.folder / claim.entry}: no metadata of Micro-Manager")
    acquisition.metadata.extend(
        sorted(path for path in claim.files if _name(path).lower() in _BESIDE)
    )
    return acquisition


def _add_folder(
    acquisition: _Acquisition, claim: Claim, entry: str, told: Mapping[str, Any]
) -> None:
    """Add the planes of one position's folder: those of its metadata, then those of its files."""
    folder = _parent(entry)
    position = _position_of(acquisition.summary, _name(folder), told)
    listed: set[str] = set()
    for name, at, known in _named_planes(told, acquisition, entry):
        path = f"{folder}/{name}" if folder else name
        listed.add(path)
        if not _contradicts(name, at, acquisition, path):
            at = at if at.position is not None else replace(at, position=position)
            acquisition.planes.append(_Plane(path, 0, at, known))
    strangers = [
        path
        for path in sorted(claim.files - listed, key=natural_order)
        if _parent(path) == folder and _is_image(_name(path))
    ]
    for path in strangers:
        by_name = _by_name(_name(path), position, acquisition.summary)
        if by_name is not None:
            acquisition.planes.append(_Plane(path, 0, by_name, Facts()))
        else:
            acquisition.warn(
                path, "is not in the metadata, which do not know its channel: left out"
            )
    if strangers:
        text = f"does not tell of {len(strangers)} files, such as {strangers[0]}: placed by names"
        acquisition.warn(entry, text)


def _position_of(meant: Summary, folder: str, told: Mapping[str, Any]) -> int:
    """Give the position of a folder: by its planes, else by its name."""
    for key, value in told.items():
        if key.startswith((_FRAME, _COORDS)):
            at = coordinates(value)
            if at is not None and at.position is not None:
                return at.position
    return meant.labels.index(folder) if folder in meant.labels else 0


def _named_planes(
    told: Mapping[str, Any], acquisition: _Acquisition, entry: str
) -> Iterator[tuple[str, Coordinates, Facts]]:
    for key, value in told.items():
        if key.startswith(_FRAME) and isinstance(value, Mapping):
            name, known = str(value.get("FileName", "")), facts(value)
        elif key.startswith(_COORDS):
            name = key[len(_COORDS) :]
            known = facts(told.get(f"{_METADATA}{name}"))
        else:
            continue
        at = coordinates(value)
        reason = why_not_local(name)
        if reason is not None:
            text = f"names the file {name!r}, {reason}: not followed"
            acquisition.problems.append(Problem("error", entry, text))
        elif at is None:
            acquisition.warn(entry, f"{key!r} does not tell which plane it is: left out")
        else:
            yield _name(name), at, known


def _contradicts(name: str, at: Coordinates, acquisition: _Acquisition, path: str) -> bool:
    """Note where a name and the metadata tell different planes."""
    by_name = _by_name(name, at.position or 0, acquisition.summary)
    if by_name is None or (by_name.channel, by_name.zplane, by_name.tpoint) == (
        at.channel,
        at.zplane,
        at.tpoint,
    ):
        return False
    text = f"is {by_name} by its name, but {at} by the metadata; restore its name"
    acquisition.problems.append(Problem("error", path, text))
    return True


def _by_name(name: str, position: int, meant: Summary) -> Coordinates | None:
    new, old = _NEW_NAME.fullmatch(name), _OLD_NAME.fullmatch(name)
    if new is not None:
        channel, told_position, tpoint, zplane = map(int, new.groups())
        return Coordinates(told_position, channel, zplane, tpoint)
    if old is None or old[2] not in meant.channel_names:
        return None
    return Coordinates(position, meant.channel_names.index(old[2]), int(old[3]), int(old[1]))


def _channels(acquisition: _Acquisition) -> tuple[ChannelInfo, ...]:
    meant = acquisition.summary
    seen = max((plane.coordinates.channel + 1 for plane in acquisition.planes), default=0)
    count = max(meant.channels, seen)
    given = [name.strip() for name in meant.channel_names[:count]]
    given += [""] * (count - len(given))
    return tuple(
        ChannelInfo(name)
        for name in distinct(name or f"channel_{index}" for index, name in enumerate(given))
    )


def _plane_files(
    plate: str, acquisition: _Acquisition, channels: Sequence[ChannelInfo]
) -> Iterator[PlaneFile]:
    """Give the planes that are there, then those that were meant as well."""
    sites = _Sites(acquisition)
    seen: set[tuple[int, int, int, int]] = set()
    for plane in acquisition.planes:
        at, known = plane.coordinates, plane.facts
        position = at.position or 0
        seen.add((position, at.channel, at.zplane, at.tpoint))
        well, site = sites.place(position)
        size = known.pixel_size_um or acquisition.summary.pixel_size_um
        yield PlaneFile(
            plate=plate,
            well=well,
            site=site,
            channel=channels[at.channel].name,
            tpoint=at.tpoint,
            zplane=at.zplane,
            path=plane.path,
            page=plane.page,
            pixel_size_x_um=size,
            pixel_size_y_um=size,
            pixel_size_z_um=acquisition.summary.zstep_um,
            stage_x_um=known.x_um,
            stage_y_um=known.y_um,
            stage_z_um=known.z_um,
            time_stamp_s=known.time_s,
            exposure_ms=known.exposure_ms,
        )
    for position, channel, zplane, tpoint in _meant(acquisition):
        if (position, channel, zplane, tpoint) not in seen:
            well, site = sites.place(position)
            yield PlaneFile(plate, well, site, channels[channel].name, tpoint, zplane, None)


def _meant(acquisition: _Acquisition) -> Iterator[tuple[int, int, int, int]]:
    meant = acquisition.summary
    zplanes = {channel: _zplanes_of(channel, acquisition) for channel in range(meant.channels)}
    for position in range(meant.positions):
        for tpoint in range(meant.tpoints):
            for channel in range(meant.channels):
                for zplane in zplanes[channel]:
                    yield position, channel, zplane, tpoint


def _zplanes_of(channel: int, acquisition: _Acquisition) -> Iterable[int]:
    """Give the z-planes meant of a channel: a single one where it was taken out of the stack.

    Such a channel has the same one, in the middle, again and again; nothing else tells.
    """
    taken: defaultdict[tuple[int | None, int], set[int]] = defaultdict(set)
    for plane in acquisition.planes:
        if plane.coordinates.channel == channel:
            stack = plane.coordinates.position, plane.coordinates.tpoint
            taken[stack].add(plane.coordinates.zplane)
    ever = set().union(*taken.values())
    is_single = len(taken) > 1 and len(ever) == 1
    return sorted(ever) if is_single else range(acquisition.summary.zplanes)


class _Sites:
    """The well and site of each position."""

    def __init__(self, acquisition: _Acquisition) -> None:
        self._wells = acquisition.summary.wells()
        numbers = sorted({number for _, number in self._wells or ()})
        self._ranks = {number: rank for rank, number in enumerate(numbers)}

    def place(self, position: int) -> tuple[str, int]:
        if self._wells is None or position >= len(self._wells):
            return _DEFAULT_WELL, position
        well, number = self._wells[position]
        return well, self._ranks[number]


def _name_sites(manifest: Manifest, acquisition: _Acquisition) -> None:
    """Call the sites as their positions are labelled."""
    sites = _Sites(acquisition)
    labels = {
        sites.place(position): label for position, label in enumerate(acquisition.summary.labels)
    }
    for key, info in manifest.sites.items():
        manifest.sites[key] = replace(info, name=labels.get((key.well, key.site)))


def _cells(planes: Sequence[PlaneFile], meant: Summary) -> dict[SiteKey, tuple[int, int]]:
    """Give the grid that the positions were made by; none where two share a place of it."""
    if meant.wells() is not None:
        return {}
    cells: dict[SiteKey, tuple[int, int]] = {}
    for key in {plane.site_key for plane in planes}:
        cell = meant.cells[key.site] if key.site < len(meant.cells) else None
        if cell is None:
            return {}
        cells[key] = cell
    return cells if len(set(cells.values())) == len(cells) else {}
