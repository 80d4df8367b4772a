"""From a list of planes, each in a file of its own or on a page of one, to a manifest.

A microscope type whose metadata or file names tell which file holds which
plane needs nothing more: headers are read here, and what is declared but not
there becomes absent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imextract.config import Settings
from imextract.errors import ImextractError, RegistrationError, SourceFileError
from imextract.planes import PlaneRef, SeriesStructure
from imextract.registration.absences import absence_problems, absent_plane
from imextract.registration.channels import add_channels
from imextract.registration.files import FoundFiles
from imextract.registration.geometry import same_places
from imextract.registration.images import SitePosition, site_grids
from imextract.registration.local_names import why_not_local
from imextract.registration.manifest import (
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    Problem,
    RowGroup,
    SiteInfo,
    SiteKey,
)
from imextract.registration.numbered_file import NumberedFile, open_numbered_file
from imextract.registration.options import ManifestOptions
from imextract.registration.tiff_header import read_tiff_header
from imextract.registration.wells import well_sort_key

__all__ = ["PlaneFile", "manifest_of_planes"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20

# Beyond this an index is no index, but damage; and so the database could not hold it.
_LARGEST_INDEX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PlaneFile:
    """A plane that a microscope declares, and where it says that it is.

    Attributes
    ----------
    site, tpoint, zplane
        Zero-based indices, ranked over the numbers of the microscope.
    path
        The file, relative to the registered folder; None where none is told.
        The plane is absent if the file is not there.
    page
        Index of the plane in the file, as Bio-Formats counts series 0 of the
        file by itself.
    """

    plate: str
    well: str
    site: int
    channel: str
    tpoint: int
    zplane: int
    path: str | None
    page: int = 0
    pixel_size_x_um: float | None = None
    pixel_size_y_um: float | None = None
    pixel_size_z_um: float | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    time_stamp_s: float | None = None
    exposure_ms: float | None = None

    @property
    def site_key(self) -> SiteKey:
        """The site of the plane."""
        return SiteKey(self.plate, self.well, self.site)

    @property
    def key(self) -> tuple[str, str, int, str, int, int]:
        """What makes the plane unique within its acquisition."""
        return self.plate, self.well, self.site, self.channel, self.tpoint, self.zplane


def manifest_of_planes(
    found: FoundFiles,
    microscope_type: str,
    planes: Iterable[PlaneFile],
    *,
    acquisition: str | None,
    options: ManifestOptions,
    settings: Settings,
    channels: Sequence[ChannelInfo],
    site_cells: Mapping[SiteKey, tuple[int, int]] | None = None,
    metadata: Sequence[str] = (),
    metadata_text: str | None = None,
    objective: str | None = None,
    problems: Sequence[Problem] = (),
    y_grows_up: bool = False,
) -> Manifest:
    """Read the headers of the files and lay out the sites.

    Parameters
    ----------
    planes
        What the microscope declares, in any order.
    acquisition
        What the microscope calls the acquisition; the user's name goes before.
    channels
        The channels, in their order; those of planes that are missing here
        are added without a wavelength.
    site_cells
        Zero-based grid positions (y, x) that the microscope tells; of wells
        that it leaves out, the stage positions tell.
    metadata
        Metadata files of the microscope, relative to the folder; kept.
    metadata_text
        The original metadata, kept with the acquisition.
    objective
        Name of the objective, if it is told.
    y_grows_up
        `stage_y_um` grows upwards in the image.

    Raises
    ------
    RegistrationError
        If not one plane can be registered.
    """
    files = _Files(found, settings)
    manifest = Manifest(found.folder, microscope_type, problems=[*found.problems, *problems])
    listed = _named_by_user(_usable(planes, manifest), options)
    rows = _PlaneRows(options.acquisition or acquisition or "acquisition_0", options.cycle)
    for plane in _in_order(_without_repeats(listed, files), channels):
        rows.add(plane, files.structure(plane))
    manifest.data_sets = list(files.data_sets())
    manifest.problems.extend((*files.problems, *files.repeats()))
    if not rows.has_present:
        refused = [problem for problem in manifest.problems if problem.severity == "error"]
        count = f"{len(rows)} planes, but none of them can" if len(rows) else "no plane that may"
        raise RegistrationError(
            f"{found.folder}: {microscope_type} declares {count} be read"
            f"{_first_texts([*refused, *files.problems])}; copy the whole folder"
        )
    manifest.problems.extend(absence_problems(_absences(rows, files)))
    manifest.row_groups.append(rows)
    _add_channels(manifest, channels, rows)
    manifest.sites = rows.sites(site_cells or {}, y_grows_up=y_grows_up)
    if options.layout is None:
        manifest.problems.extend(rows.same_places(site_cells or {}))
    _add_metadata(manifest, found, rows, metadata, metadata_text)
    if objective is not None:
        manifest.objectives.update(
            ((plate, rows.acquisition), objective) for plate in rows.plates()
        )
    return manifest


def _usable(planes: Iterable[PlaneFile], manifest: Manifest) -> Iterator[PlaneFile]:
    """Give the planes whose indices and file names can be honoured; note the others."""
    refused: Counter[str] = Counter()
    for plane in planes:
        indices = plane.site, plane.tpoint, plane.zplane, plane.page
        reason = None if plane.path is None else why_not_local(plane.path)
        if min(indices) < 0 or max(indices) > _LARGEST_INDEX:
            text = (
                f"site {plane.site}, tpoint {plane.tpoint}, zplane {plane.zplane}, page "
                f"{plane.page}: expected indices from 0 to {_LARGEST_INDEX}"
            )
        elif reason is not None:
            text = f"the metadata name the file {plane.path!r}, {reason}: not followed"
        else:
            yield plane
            continue
        refused["all"] += 1
        if refused["all"] <= _MOST_NAMED:
            manifest.problems.append(Problem("error", None, text))
    if refused["all"] > _MOST_NAMED:
        text = f"{refused['all'] - _MOST_NAMED} more planes are named so that none can be found"
        manifest.problems.append(Problem("error", None, text))


def _named_by_user(planes: Iterable[PlaneFile], options: ManifestOptions) -> list[PlaneFile]:
    """Name the plates as the user says, before their own names where there are several."""
    listed = list(planes)
    if options.plate is None:
        return listed
    own_names = {plane.plate for plane in listed}
    names = {
        name: options.plate if len(own_names) == 1 else f"{options.plate}_{name}"
        for name in own_names
    }
    return [replace(plane, plate=names[plane.plate]) for plane in listed]


def _without_repeats(planes: Sequence[PlaneFile], files: "_Files") -> Iterator[PlaneFile]:
    """Leave out an absent plane that is declared once more, in another place or absent too.

    Planes that are there twice stay: the checks of the manifest name them.
    """
    present = {plane.key for plane in planes if files.is_found(plane.path)}
    absent: set[tuple[object, ...]] = set()
    for plane in planes:
        if files.is_found(plane.path):
            yield plane
        elif plane.key not in present and plane.key not in absent:
            absent.add(plane.key)
            yield plane


def _in_order(planes: Iterable[PlaneFile], channels: Sequence[ChannelInfo]) -> list[PlaneFile]:
    """Put the planes in the order of wells, sites, time points, channels, z-planes."""
    rank = {channel.name: index for index, channel in enumerate(channels)}
    wells: dict[str, tuple[int, int, str]] = {}

    def order(plane: PlaneFile) -> tuple[object, ...]:
        well = wells.get(plane.well)
        if well is None:
            well = wells[plane.well] = well_sort_key(plane.well)
        channel = rank.get(plane.channel, len(rank))
        return plane.plate, well, plane.site, plane.tpoint, channel, plane.channel, plane.zplane

    return sorted(planes, key=order)


class _Files:
    """The files of the planes, each header read once."""

    def __init__(self, found: FoundFiles, settings: Settings) -> None:
        self.problems: list[Problem] = []
        self._found = found
        self._settings = settings
        self._opened: dict[str, NumberedFile | None] = {}
        self._alike: dict[SeriesStructure, NumberedFile] = {}
        # Of each file a bit for each page that is a plane.
        self._used_pages: defaultdict[str, int] = defaultdict(int)
        self._told_twice: Counter[str] = Counter()

    def is_found(self, path: str | None) -> bool:
        return path is not None and path in self._found.files

    def structure(self, plane: PlaneFile) -> SeriesStructure | None:
        """Give the structure of the file of a plane; None if it does not hold the plane."""
        if plane.path is None or plane.path not in self._found.files:
            return None
        if plane.path not in self._opened:
            self._opened[plane.path] = self._open(plane.path)
        file = self._opened[plane.path]
        if file is None:
            return None
        _, structure = file.images[0]
        if plane.page >= structure.plane_count:
            text = (
                f"holds {structure.plane_count} planes, but its metadata tell of plane "
                f"{plane.page}: that is absent"
            )
            self.problems.append(Problem("warning", plane.path, text))
            return None
        self._use(plane.path, plane.page)
        return structure

    def _use(self, path: str, page: int) -> None:
        if self._used_pages[path] >> page & 1:
            self._told_twice[path] += 1
        self._used_pages[path] |= 1 << page

    def repeats(self) -> Iterator[Problem]:
        """Name files that are told to be several planes: of which, their pixels do not say."""
        for path, count in list(self._told_twice.items())[:_MOST_NAMED]:
            text = (
                f"is named {count} times more than it holds planes, for different planes: which "
                "it is cannot be known; copy the metadata again, or correct the manifest"
            )
            yield Problem("error", path, text)
        if len(self._told_twice) > _MOST_NAMED:
            text = f"{len(self._told_twice) - _MOST_NAMED} more files are told for several planes"
            yield Problem("error", None, text)

    def data_sets(self) -> Iterator[DataSet]:
        """Give the data sets of all files that hold a plane."""
        for path, file in self._opened.items():
            if file is None or not self._used_pages[path]:
                continue
            data_set = file.data_set(self._found, path)
            if self._is_partly_used(path, file):
                data_set = data_set.held()
            yield data_set

    def _open(self, path: str) -> NumberedFile | None:
        source = self._found.files[path]
        if source.size_bytes == 0:
            self._warn(path, "is empty: its planes are absent; copy it again from the microscope")
            return None
        header = read_tiff_header(self._found.folder / path)
        if header is not None:
            return self._plain(path, header.structure, header.end_of_pixels, source.size_bytes)
        try:
            file = open_numbered_file(self._found, path, self._settings)
            _refuse_set(file, path)
        except (OSError, ImextractError) as error:
            self._warn(path, f"cannot be opened: its planes are absent ({error})")
            return None
        for text in file.warnings:
            self._warn(path, text)
        return file

    def _plain(
        self, path: str, structure: SeriesStructure, end: int, size_bytes: int
    ) -> NumberedFile:
        if end > size_bytes:
            # Planned all the same, so that the extraction fails on it by name.
            self._warn(
                path,
                f"is truncated, its planes will fail: pixels end at byte {end}, but the file has "
                f"{size_bytes}; copy it again from the microscope",
            )
        if structure not in self._alike:
            self._alike[structure] = NumberedFile.plain_tiff(structure)
        return self._alike[structure]

    def _is_partly_used(self, path: str, file: NumberedFile) -> bool:
        held = sum(structure.plane_count for _, structure in file.images)
        used = self._used_pages[path].bit_count()
        if held > used:
            self._warn(
                path,
                f"holds {held} planes, of which its metadata tell {used}: the others are left out, "
                "and the file is never deleted",
            )
        return held > used

    def _warn(self, path: str, text: str) -> None:
        self.problems.append(Problem("warning", path, text))


def _refuse_set(file: NumberedFile, path: str) -> None:
    """Refuse a file that Bio-Formats takes for a part of the plate: it would give any plane of it.

    Raises
    ------
    SourceFileError
        If the file was opened together with others that are not its own.
    """
    stem = path.rpartition(".")[0]
    files = file.candidate.files if file.candidate is not None else ()
    others = [other for other in files if other != path and other.rpartition(".")[0] != stem]
    if others:
        raise SourceFileError(
            f"{path}: is no plain TIFF, and Bio-Formats reads it as one of {len(files)} files of a "
            f"set, such as {others[0]}, so that which plane is its own cannot be told; replace it "
            "by a whole one, or register with --microscope bioformats"
        )


class _PlaneRows(RowGroup):
    """The planes of an acquisition, each with the structure of its file."""

    def __init__(self, acquisition: str, cycle: int) -> None:
        self.acquisition = acquisition
        self._cycle = cycle
        self._planes: list[PlaneFile] = []
        self._structures: list[SeriesStructure | None] = []
        self._sites: dict[SiteKey, SeriesStructure] = {}
        self._channels: dict[str, SeriesStructure] = {}

    def add(self, plane: PlaneFile, structure: SeriesStructure | None) -> None:
        """Add a plane; without a structure it is absent."""
        self._planes.append(plane)
        self._structures.append(structure)
        if structure is not None:
            self._sites.setdefault(plane.site_key, structure)
            self._channels.setdefault(plane.channel, structure)

    def __len__(self) -> int:
        return len(self._planes)

    @property
    def has_present(self) -> bool:
        return bool(self._sites)

    @property
    def channel_names(self) -> list[str]:
        return list(dict.fromkeys(plane.channel for plane in self._planes))

    def plates(self) -> list[str]:
        return list(dict.fromkeys(plane.plate for plane in self._planes))

    def absent(self) -> Iterator[PlaneFile]:
        for plane, structure in zip(self._planes, self._structures, strict=True):
            if structure is None:
                yield plane

    def rows(self) -> Iterator[ManifestRow]:
        """Give the planes in their order."""
        keys: dict[tuple[str, str, int], SiteKey] = {}
        refs: dict[int, PlaneRef] = {}
        for plane, structure in zip(self._planes, self._structures, strict=True):
            # Shared, since most planes of a plate lie on the same few pages.
            place = plane.plate, plane.well, plane.site
            key = keys.setdefault(place, SiteKey(*place)) if place not in keys else keys[place]
            ref = refs.setdefault(plane.page, PlaneRef(0, plane.page))
            shape = structure or self._neighbour(plane)
            yield ManifestRow(
                key,
                self.acquisition,
                self._cycle,
                plane.channel,
                plane.tpoint,
                plane.zplane,
                None if structure is None else plane.path,
                None if structure is None else ref,
                shape.size_y,
                shape.size_x,
                shape.dtype,
                plane.pixel_size_x_um,
                plane.pixel_size_y_um,
                plane.pixel_size_z_um,
                plane.stage_x_um,
                plane.stage_y_um,
                plane.stage_z_um,
                plane.time_stamp_s,
                plane.exposure_ms,
            )

    def sites(
        self, cells: Mapping[SiteKey, tuple[int, int]], *, y_grows_up: bool
    ) -> dict[SiteKey, SiteInfo]:
        """Lay out the sites: as told, else by their stage positions."""
        return _as_told(site_grids(self._positions(y_grows_up=y_grows_up)), cells)

    def same_places(self, cells: Mapping[SiteKey, tuple[int, int]]) -> Iterator[Problem]:
        """Name wells of which two sites stand at the same place of the stage."""
        wells: defaultdict[tuple[str, str], list[SiteKey]] = defaultdict(list)
        positions = self._positions(y_grows_up=False)
        for key in sorted(positions):
            wells[key.plate, key.well].append(key)
        for (plate, well), keys in wells.items():
            if all(key in cells for key in keys):
                continue
            twice = same_places([positions[key].stage_position for key in keys])
            if twice is not None:
                one, other = (keys[index].site for index in twice)
                text = (
                    f"plate {plate}, well {well}: sites {one} and {other} stand at the same place "
                    "of the stage; tell where they lie with --layout, or by site_y and site_x of "
                    "a manifest"
                )
                yield Problem("error", None, text)

    def _positions(self, *, y_grows_up: bool) -> dict[SiteKey, SitePosition]:
        positions: dict[SiteKey, SitePosition] = {}
        for plane in self._planes:
            key = plane.site_key
            known = positions.get(key)
            if known is not None and known.stage_position is not None:
                continue
            shape = self._sites.get(key) or self._neighbour(plane)
            positions[key] = SitePosition(
                shape.size_y, shape.size_x, None, _stage(plane), y_grows_up
            )
        return positions

    def _neighbour(self, plane: PlaneFile) -> SeriesStructure:
        """Give the structure of the planes next to an absent one."""
        any_site = next(iter(self._sites.values()))
        same_site = self._sites.get(plane.site_key, any_site)
        same_channel = self._channels.get(plane.channel, same_site)
        return replace(same_site, dtype=same_channel.dtype)


def _stage(plane: PlaneFile) -> tuple[float, float] | None:
    if plane.stage_x_um is None or plane.stage_y_um is None:
        return None
    return plane.stage_x_um, plane.stage_y_um


def _as_told(
    sites: Mapping[SiteKey, SiteInfo], cells: Mapping[SiteKey, tuple[int, int]]
) -> dict[SiteKey, SiteInfo]:
    """Put the sites of a well where the microscope says, if it does of all of them."""
    wells: defaultdict[tuple[str, str], list[SiteKey]] = defaultdict(list)
    for key in sites:
        wells[key.plate, key.well].append(key)
    laid_out = dict(sites)
    for keys in wells.values():
        if all(key in cells for key in keys):
            for key in keys:
                y, x = cells[key]
                laid_out[key] = replace(sites[key], y=y, x=x)
    return laid_out


def _absences(rows: _PlaneRows, files: _Files) -> Iterator[Problem]:
    for plane in rows.absent():
        state = "its file is bad" if files.is_found(plane.path) else "declared, but not there"
        yield absent_plane(
            plane.path, state, plane.site_key, plane.channel, plane.tpoint, plane.zplane
        )


def _add_channels(manifest: Manifest, channels: Sequence[ChannelInfo], rows: _PlaneRows) -> None:
    used = rows.channel_names
    add_channels(manifest.channels, (one for one in channels if one.name in used))
    add_channels(manifest.channels, map(ChannelInfo, used))


def _add_metadata(
    manifest: Manifest,
    found: FoundFiles,
    rows: _PlaneRows,
    metadata: Sequence[str],
    text: str | None,
) -> None:
    files = [replace(found.files[path], holds_pixels=False) for path in metadata]
    if not files:
        # The images tell of themselves: what they say is kept with the first.
        manifest.data_sets[0] = replace(manifest.data_sets[0], metadata_text=text)
        return
    data_set = DataSet(files[0], tuple(files[1:]), "none", manifest.microscope_type, text)
    for plate in rows.plates():
        manifest.metadata_sets.append((plate, rows.acquisition, data_set))


def _first_texts(problems: Sequence[Problem]) -> str:
    named = [
        problem.text if problem.file is None else f"{problem.file}: {problem.text}"
        for problem in problems[:3]
    ]
    return f" ({'; '.join(named)})" if named else ""
