"""OME-TIFF of several files: their OME-XML tells which page of which file each plane is.

Where it names a file that is not there, its planes are absent; the others are
read all the same. A file that has another identifier than is told of it is not
the one that is meant. A single OME-TIFF is left to Bio-Formats, unless it was
renamed and another file has its name now: Bio-Formats would read that one.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tifffile import TiffFile

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.ome_tiff_data import ImagePages, OmePages, PlanePage, parse_pages
from imextract.readers.source import open_source
from imextract.readers.tiff import check_tiff, is_tiff
from imextract.registration.channels import add_channels, image_channels
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.images import SitePosition, site_grids
from imextract.registration.local_names import why_not_local
from imextract.registration.manifest import ChannelInfo, Manifest, Problem, SiteKey
from imextract.registration.merge import merge_manifests
from imextract.registration.microscopes import bioformats
from imextract.registration.microscopes.ometiff_schema import newer_schema
from imextract.registration.microscopes.ometiff_uuids import OmeUuids
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.objectives import objective_names
from imextract.registration.ome import Ome, OmeImage
from imextract.registration.ome_xml import parse_ome_xml
from imextract.registration.options import ManifestOptions
from imextract.registration.placement import Place, Placement
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.tiff_header import read_tiff_header
from imextract.registration.vendor_text import read_text

__all__ = ["claim", "read"]

_IMAGES = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.tf8", ".ome.btf")
_COMPANIONS = (".companion.ome",)
_LARGEST_BYTES = 512 * 2**20
_HEAD = 4096
# Prairie View writes OME-TIFF as well, but tells more in files of its own.
_OTHERS = b"<PVScan"


@dataclass(frozen=True, slots=True)
class _Told:
    """What the OME-XML of a claim tells; nothing is read of files that are left out."""

    found: FoundFiles
    claim: Claim
    text: str
    images: Mapping[str, OmeImage]
    places: Mapping[str, Place]
    left_out: frozenset[str]


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim the files of each set that the OME-XML of one of them names."""
    sets: dict[str, set[str]] = {}
    taken: set[str] = set()
    orphans: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    others = _folders_of_others(found)
    uuids = OmeUuids(found, (*_IMAGES, *_COMPANIONS))
    for path in _entries(found):
        if path in taken or _parent(path) in others:
            continue
        files = _files_of_set(found, path, uuids)
        if files is None:
            continue
        whole, name = _whole_text_of(found, path, uuids)
        if whole is None:
            orphans[_parent(path), name].append(path)
            continue
        entry = next((one for one in files if one.lower().endswith(_COMPANIONS)), whole)
        # A file that its companion leaves out still belongs to it.
        more = {path} if entry in sets else _grown(found, entry, files, uuids) - taken
        sets.setdefault(entry, set()).update(more)
        taken |= more
    claims = [Claim(_parent(entry), entry, frozenset(files)) for entry, files in sets.items()]
    claims.extend(
        Claim(folder, min(paths, key=natural_order), frozenset(paths) - taken)
        for (folder, _), paths in orphans.items()
    )
    return claims


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Give the planes of a set, and those of files that are not there as absent ones.

    Raises
    ------
    SourceFileError
        If the OME-XML makes no sense.
    RegistrationError
        If no plane can be read.
    """
    text = _ome_xml(found, claim.entry)
    uuids = OmeUuids(found, (*_IMAGES, *_COMPANIONS))
    raw, ome = parse_pages(text), parse_ome_xml(text)
    pages = _resolved(found, claim.entry, raw, uuids)
    if pages.metadata_file is not None:
        raise SourceFileError(
            f"{found.folder / claim.entry}: the OME-XML of {len(claim.files)} files is in "
            f"{pages.metadata_file!r} ({pages.metadata_uuid or 'no UUID'}), which is missing, so "
            "that nothing tells which plane each page is; copy that file too, or give it its name"
        )
    problems = list(newer_schema(claim.entry, text))
    unusual = _unusual(found, claim, pages, problems)
    if unusual and unusual >= _present(found, claim, pages):
        # Compressed, tiled or coloured in ways that only Bio-Formats is sure to read.
        return bioformats.read(found, claim, options, settings)
    problems.extend(_unusual_problem(path) for path in sorted(unusual))
    problems.extend(
        Problem("warning", claim.entry, f"names a file only by {uuid}: its planes are absent")
        for uuid in _strangers(claim.entry, raw, uuids)
    )
    placement = Placement(options, found.name)
    (places,) = placement.place([ome])
    problems.extend(placement.problems)
    told = _Told(found, claim, text, _by_id(ome), places, frozenset(unusual))
    groups = _by_acquisition(pages, places)
    manifests = [_manifest(told, group, options, settings) for group in groups]
    if not manifests:
        raise RegistrationError(
            f"{found.folder / claim.entry}: the OME-XML tells of no image; restore the file"
        )
    manifest = merge_manifests(found.folder, manifests)
    manifest.problems[:0] = problems
    manifest.problems.extend(_without_rows(claim, manifest))
    manifest.microscope_type = "ometiff"
    return manifest


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _entries(found: FoundFiles) -> list[str]:
    companions = [path for path in found.files if path.lower().endswith(_COMPANIONS)]
    return companions + [path for path in found.files if path.lower().endswith(_IMAGES)]


def _folders_of_others(found: FoundFiles) -> set[str]:
    folders = {_parent(path) for path in _entries(found)}
    return {
        _parent(path)
        for path in found.files
        if path.lower().endswith(".xml") and _parent(path) in folders and _is_of_others(found, path)
    }


def _is_of_others(found: FoundFiles, path: str) -> bool:
    try:
        with open_source(found.folder / path) as stream:
            return _OTHERS in stream.read(_HEAD)
    except OSError:
        return False


def _ome_xml(found: FoundFiles, path: str) -> str:
    """Give the OME-XML of a companion file, or of the first page of an image."""
    full_path = found.folder / path
    if path.lower().endswith(_COMPANIONS):
        return read_text(full_path, _LARGEST_BYTES)
    try:
        with open_source(full_path) as stream:
            return str(TiffFile(stream).pages.first.description)
    except SourceFileError:
        raise
    except Exception as error:  # tifffile meets damage with errors of any kind
        raise SourceFileError(
            f"{full_path}: the header cannot be read: {type(error).__name__}: {error}; "
            "copy the file again from the microscope"
        ) from error


def _files_of_set(found: FoundFiles, path: str, uuids: OmeUuids) -> set[str] | None:
    """Give the files that a file names, with itself; None if it is no part of a set."""
    try:
        told = parse_pages(_ome_xml(found, path))
    except SourceFileError:
        # A companion that cannot be read is an error of its own; an image may be anything.
        return {path} if path.lower().endswith(_COMPANIONS) else None
    if told.metadata_file is not None:
        other = _metadata_path(found, path, told, uuids)
        if other is None:
            # Nobody can tell what its pages are, unless the other is read by someone else.
            return None if _below(path, told.metadata_file) in found.claimed else {path}
        return {path, other}
    pages = _resolved(found, path, told, uuids, is_noted=True)
    if any(image.samples > 1 for image in pages.images):
        return None
    named = {_below(path, name) for name in pages.files if why_not_local(name) is None}
    is_own = any(plane.file is None for image in pages.images for plane in image.planes)
    present = named & found.files.keys()
    if path.lower().endswith(_COMPANIONS):
        return {path} | present
    if is_own and _is_misread(found, path, told, pages):
        return {path} | present
    # A file that has its planes itself; or one that was renamed, and names none that is there.
    if named <= {path} or not (is_own or present):
        return None
    return {path} | present


def _is_misread(found: FoundFiles, path: str, told: OmePages, pages: OmePages) -> bool:
    """Tell whether Bio-Formats, which goes by names alone, would read another file."""
    names = {name for name in told.own_names if why_not_local(name) is None}
    others = {_below(path, name) for name in names} - {path}
    return told.files != pages.files or bool(others & (found.files.keys() | found.claimed.keys()))


def _whole_text_of(found: FoundFiles, path: str, uuids: OmeUuids) -> tuple[str | None, str]:
    """Give the file that has the whole OME-XML, and the name by which it is told."""
    try:
        pages = parse_pages(_ome_xml(found, path))
    except SourceFileError:
        return path, ""
    if pages.metadata_file is None:
        return path, ""
    return _metadata_path(found, path, pages, uuids), pages.metadata_file


def _metadata_path(found: FoundFiles, path: str, pages: OmePages, uuids: OmeUuids) -> str | None:
    """Find the file with the whole OME-XML: by its name, else by its identifier."""
    name = pages.metadata_file
    if name is not None and why_not_local(name) is None and _below(path, name) in found.files:
        return _below(path, name)
    return uuids.file_of(_parent(path), pages.metadata_uuid)


def _resolved(
    found: FoundFiles, path: str, pages: OmePages, uuids: OmeUuids, *, is_noted: bool = False
) -> OmePages:
    """Put the file that has the told identifier in place of each that is not it, or none."""
    meant: dict[tuple[str, str], str | None] = {}
    named = {(p.file, p.uuid) for i in pages.images for p in i.planes if p.file is not None}
    for file, uuid in sorted(named):
        meant[file, uuid] = _meant(found, path, pages, (file, uuid), uuids)
        if meant[file, uuid] is None and file and is_noted:
            other = uuids.of(_below(path, file))
            text = f"is {other}, but {path} means {uuid}: its planes there are absent"
            problem = Problem("warning", _below(path, file), text)
            # A set is looked at once more when it grows.
            found.problems.extend([] if problem in found.problems else [problem])
    images = tuple(
        replace(image, planes=tuple(_with_files(image.planes, meant))) for image in pages.images
    )
    return replace(pages, images=images)


def _strangers(path: str, pages: OmePages, uuids: OmeUuids) -> list[str]:
    """Give the identifiers that are told without a name, and that no file beside has."""
    told = {p.uuid for image in pages.images for p in image.planes if p.file == ""}
    return sorted(uuid for uuid in told if uuids.file_of(_parent(path), uuid) is None)


def _with_files(
    planes: Sequence[PlanePage], meant: Mapping[tuple[str, str], str | None]
) -> Iterator[PlanePage]:
    for plane in planes:
        file = None if plane.file is None else meant[plane.file, plane.uuid]
        if file == plane.file:
            yield plane
        elif file is not None:
            yield replace(plane, file=file)


def _meant(
    found: FoundFiles, path: str, pages: OmePages, told: tuple[str, str], uuids: OmeUuids
) -> str | None:
    """Give the name of the file that is meant; None if the one of that name is another."""
    file, uuid = told
    if not file:
        known = uuids.file_of(_parent(path), uuid)
        return None if known is None else known.rpartition("/")[2]
    full = _below(path, file)
    if not uuid or full == path or why_not_local(file) is not None:
        return file
    # Programs that write the same OME-XML into each file give all the same identifier.
    if full in found.files and uuids.of(full) in ("", uuid, pages.uuid):
        return file
    other = uuids.file_of(_parent(path), uuid)
    if other is not None:
        return other.rpartition("/")[2]
    return None if full in found.files else file


def _without_rows(claim: Claim, manifest: Manifest) -> Iterator[Problem]:
    """Name the images of which no plane is registered, unless something is said of them."""
    known = {row.source_file for row in manifest.rows()}
    known.update(problem.file for problem in manifest.problems)
    for path in sorted(claim.files - known, key=natural_order):
        if path.lower().endswith(_IMAGES):
            text = f"{claim.entry} tells of no plane in this file: left out; register it by itself"
            yield Problem("warning", path, text)


def _grown(found: FoundFiles, entry: str, files: set[str], uuids: OmeUuids) -> set[str]:
    """Add the files that the one with the whole OME-XML names."""
    for path in list(files):
        more = _files_of_set(found, path, uuids) if path == entry or len(files) == 2 else None
        files = files | (more or set())
    return files


def _below(path: str, name: str) -> str:
    """Give the path of a file that is named beside another."""
    name = name.replace("\\", "/").removeprefix("./")
    folder = _parent(path)
    return f"{folder}/{name}" if folder else name


def _path(claim: Claim, name: str | None) -> str:
    return claim.entry if name is None else _below(claim.entry, name)


def _present(found: FoundFiles, claim: Claim, pages: OmePages) -> set[str]:
    paths = {
        _path(claim, plane.file)
        for image in pages.images
        for plane in image.planes
        if plane.file is None or why_not_local(plane.file) is None
    }
    return paths & found.files.keys()


def _unusual(found: FoundFiles, claim: Claim, pages: OmePages, problems: list[Problem]) -> set[str]:
    """Give the files that are whole, but whose pages are no plain planes of one size."""
    unusual: set[str] = set()
    for path in _present(found, claim, pages):
        full_path = found.folder / path
        if found.files[path].size_bytes == 0 or read_tiff_header(full_path) is not None:
            continue
        try:
            if is_tiff(full_path):
                check_tiff(full_path)
                unusual.add(path)
            else:
                problems.append(Problem("warning", path, "is no TIFF: its planes are absent"))
        except SourceFileError as error:
            problems.append(Problem("warning", path, f"is damaged: {error.message}"))
    return unusual


def _unusual_problem(path: str) -> Problem:
    text = (
        "its pages are no plain planes of one size, unlike those of the other files: left out; "
        "register the folder with --microscope bioformats"
    )
    return Problem("error", path, text)


def _by_id(ome: Ome) -> dict[str, OmeImage]:
    return {image.id: image for image in ome.images}


def _by_acquisition(pages: OmePages, places: Mapping[str, Place]) -> list[list[ImagePages]]:
    groups: defaultdict[tuple[str, str], list[ImagePages]] = defaultdict(list)
    for image in pages.images:
        if image.id in places:
            place = places[image.id]
            groups[place.site.plate, place.acquisition].append(image)
    return list(groups.values())


def _manifest(
    told: _Told, group: Sequence[ImagePages], options: ManifestOptions, settings: Settings
) -> Manifest:
    """Give the manifest of the images of one acquisition."""
    images, places, entry = told.images, told.places, told.claim.entry
    channels: dict[str, ChannelInfo] = {}
    planes: list[PlaneFile] = []
    for image in group:
        own = image_channels(images[image.id].channels, image.structure.size_c)
        add_channels(channels, own)
        planes.extend(
            plane
            for plane in _planes(told.claim, image, images[image.id], places[image.id].site, own)
            if plane.path not in told.left_out
        )
    manifest = manifest_of_planes(
        told.found,
        "ometiff",
        planes,
        acquisition=places[group[0].id].acquisition,
        # Names that the user gave are part of the places already.
        options=replace(options, plate=None, acquisition=None),
        settings=settings,
        channels=list(channels.values()),
        site_cells=_cells(group, images, places),
        metadata=[entry] if entry.lower().endswith(_COMPANIONS) else [],
        metadata_text=told.text,
        objective=objective_names(images[image.id].objective for image in group),
    )
    for image in group:
        site = places[image.id].site
        manifest.sites[site] = replace(manifest.sites[site], name=images[image.id].name)
    manifest.problems.extend(_size_problems(entry, group, manifest))
    return manifest


def _planes(
    claim: Claim,
    pages: ImagePages,
    image: OmeImage,
    site: SiteKey,
    channels: Sequence[ChannelInfo],
) -> Iterator[PlaneFile]:
    """Give the planes that have a page, then those that have none."""
    seen: set[tuple[int, int, int]] = set()
    given: set[tuple[int, int, int, str, int]] = set()
    for plane in pages.planes:
        at = plane.zplane, plane.channel, plane.tpoint
        path = _path(claim, plane.file) if plane.file is None or _is_local(plane.file) else None
        # A page that is told twice for the same plane is no second plane.
        if (*at, path or "", plane.page) in given:
            continue
        given.add((*at, path or "", plane.page))
        seen.add(at)
        yield _plane_file(image, site, channels, at, path or plane.file, plane.page)
    for index in range(pages.structure.plane_count):
        at = pages.structure.zct(index)
        if at not in seen:
            yield _plane_file(image, site, channels, at, None, 0)


def _is_local(name: str) -> bool:
    return why_not_local(name) is None


def _plane_file(
    image: OmeImage,
    site: SiteKey,
    channels: Sequence[ChannelInfo],
    at: tuple[int, int, int],
    path: str | None,
    page: int,
) -> PlaneFile:
    zplane, channel, tpoint = at
    facts = image.planes.get(zplane, channel, tpoint)
    return PlaneFile(
        plate=site.plate,
        well=site.well,
        site=site.site,
        channel=channels[channel].name,
        tpoint=tpoint,
        zplane=zplane,
        path=path,
        page=page,
        pixel_size_x_um=image.pixel_size_x_um,
        pixel_size_y_um=image.pixel_size_y_um,
        pixel_size_z_um=image.pixel_size_z_um,
        stage_x_um=facts.stage_x_um,
        stage_y_um=facts.stage_y_um,
        stage_z_um=facts.stage_z_um,
        time_stamp_s=facts.time_stamp_s,
        exposure_ms=facts.exposure_ms,
    )


def _cells(
    group: Sequence[ImagePages], images: Mapping[str, OmeImage], places: Mapping[str, Place]
) -> dict[SiteKey, tuple[int, int]]:
    """Lay out the sites by their stage positions, in whatever unit these are."""
    positions = {
        places[image.id].site: SitePosition(
            image.structure.size_y,
            image.structure.size_x,
            None,
            images[image.id].stage_position or places[image.id].stage_position,
        )
        for image in group
    }
    return {key: (site.y, site.x) for key, site in site_grids(positions).items()}


def _size_problems(
    entry: str, group: Sequence[ImagePages], manifest: Manifest
) -> Iterator[Problem]:
    """Note where pixels are not as the OME-XML says; the pixels decide."""
    told = {
        (image.structure.size_y, image.structure.size_x, image.structure.dtype) for image in group
    }
    found = {
        (row.height, row.width, row.dtype) for row in manifest.rows() if row.source_file is not None
    }
    for height, width, dtype in sorted(found - told):
        text = (
            f"files hold planes of {width} x {height} {dtype}, which the OME-XML does not tell of"
        )
        yield Problem("warning", entry, text)
