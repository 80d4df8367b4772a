"""Everything that Bio-Formats opens, by its OME-XML."""

import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.planes import PIXEL_TYPES, PlaneRef, SeriesStructure
from imextract.readers.bioformats import Inspection
from imextract.readers.tiff import is_tiff
from imextract.registration.absences import absence_problems, absent_plane
from imextract.registration.candidates import Candidate
from imextract.registration.channels import add_channels, image_channels
from imextract.registration.entries import EntryChooser
from imextract.registration.files import FoundFiles, first_reasons
from imextract.registration.images import ImageRows, SitePosition, site_grids
from imextract.registration.inspected import read_inspection
from imextract.registration.lost_planes import lost_planes
from imextract.registration.manifest import DataSet, Manifest, Problem, SiteKey
from imextract.registration.microscopes.operetta_orientation import (
    Orientation,
    read_orientation,
)
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.objectives import objective_names
from imextract.registration.ome import Ome, OmeImage
from imextract.registration.opening import damage, open_file
from imextract.registration.options import ManifestOptions
from imextract.registration.patterns import fitting_pattern
from imextract.registration.placement import Place, Placement, wells_in_two_folders

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

_OPERETTA = "PerkinElmer Operetta"

_MOST_NAMED = 10

# Formats whose stage has its y axis upwards, as in a drawing of the plate.
_Y_UP = frozenset({_OPERETTA, "Yokogawa CV7000"})

# Bio-Formats 7.3 adds the well's offset in millimetres to the field's position
# in metres: right for telling fields of a well apart, wrong as a length.
_STAGE_NOT_UM = frozenset({_OPERETTA})


@dataclass(frozen=True, slots=True)
class _Opened:
    """A data set and what its metadata say; image i is series i.

    `orientation` is how Bio-Formats turned the positions on the stage; `lost`
    are planes that are declared, but in none of its files.
    """

    data_set: DataSet
    structure: tuple[SeriesStructure, ...]
    ome: Ome
    orientation: Orientation
    lost: frozenset[PlaneRef]


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim all files: what they are is found out by opening them."""
    return [Claim("", next(iter(found.files)), frozenset(found.files))] if found.files else []


def read(
    found: FoundFiles,
    claim: Claim,  # noqa: ARG001  all files are claimed
    options: ManifestOptions,
    settings: Settings,
) -> Manifest:
    """Open every data set of a folder, each once and through the right file of it.

    Raises
    ------
    RegistrationError
        If no file of the folder can be opened.
    """
    manifest = Manifest(found.folder, "bioformats", problems=list(found.problems))
    readers: dict[str, str] = {}

    def inspect(path: str) -> Inspection:
        # The reader is chosen now, while Bio-Formats has the file open.
        inspection, readers[path] = open_file(found.folder / path, settings, found.folder)
        return inspection

    def inspect_alone(path: str) -> Inspection | None:
        inspection = _inspect_alone(found.folder / path, settings)
        if inspection is not None:
            readers[path] = "tifffile"
        return inspection

    chooser = EntryChooser(found, inspect, inspect_alone)
    candidates = chooser.choose()
    manifest.problems.extend(chooser.problems)
    if not candidates:
        raise RegistrationError(_nothing_opened(found, manifest.problems))
    found_sets = [_opened(found, one, readers[one.entry], manifest, settings) for one in candidates]
    opened = [one for one in found_sets if one is not None]
    if not opened:
        raise RegistrationError(_nothing_opened(found, manifest.problems))
    placement = Placement(options, found.name)
    places = placement.place([one.ome for one in opened])
    manifest.problems.extend((*placement.problems, *_named_like_plates(opened)))
    placed = [(one.data_set.entry.path, one.ome) for one in opened]
    manifest.problems.extend(
        wells_in_two_folders((*pair, place) for pair, place in zip(placed, places, strict=True))
    )
    sites: dict[SiteKey, SitePosition] = {}
    for one, place_of in zip(opened, places, strict=True):
        _add_images(manifest, sites, one, place_of, options.cycle)
    manifest.problems.extend(absence_problems(_absences(manifest)))
    manifest.sites = site_grids(sites)
    manifest.objectives.update(_objectives(opened, places))
    logger.info("%s: %d data sets in %d files", found.folder, len(opened), len(found.files))
    return manifest


def _inspect_alone(path: Path, settings: Settings) -> Inspection | None:
    """Open a plain TIFF out of sight of the files beside it; None for any other file.

    Only what tifffile reads alike will do: Bio-Formats would see the files
    beside it again when its planes are extracted.
    """
    if not is_tiff(path):
        return None
    with tempfile.TemporaryDirectory(prefix="imextract-alone-") as folder:
        alias = Path(folder, path.name)
        alias.symlink_to(path)
        try:
            inspection, reader = open_file(alias, settings, path.parent)
        except SourceFileError:
            return None
        if reader != "tifffile":
            return None
    return replace(inspection, path=path, used_files=(path,), metadata_files=())


def _nothing_opened(found: FoundFiles, problems: list[Problem]) -> str:
    return (
        f"{found.folder}: none of its {len(found.files)} files is a microscope file that "
        f"can be opened{first_reasons(problems)}; give the folder that the microscope wrote to"
    )


def _opened(
    found: FoundFiles, candidate: Candidate, reader: str, manifest: Manifest, settings: Settings
) -> _Opened | None:
    """Add a data set; None if not one of its images can be stored."""
    inspection = candidate.inspection
    inspected = read_inspection(inspection)
    texts = [*inspected.warnings, *_type_problems(inspection.structure)]
    manifest.problems.extend(Problem("warning", candidate.entry, text) for text in texts)
    storable = [series.dtype in PIXEL_TYPES for series in inspection.structure]
    if not any(storable):
        return None
    # tifffile reads none that is not whole.
    manifest.problems.extend(_damages(found, candidate) if reader != "tifffile" else ())
    entry, companions = candidate.source_files(found)
    data_set = DataSet(
        entry=entry,
        companions=companions,
        reader=reader,
        format_name=inspection.format_name,
        metadata_text=inspection.ome_xml or None,
    )
    if not all(storable):
        data_set = data_set.held()
    manifest.data_sets.append(data_set)
    is_turned = inspection.format_name == _OPERETTA
    orientation = read_orientation(found.folder / entry.path) if is_turned else Orientation()
    lost = lost_planes(found, candidate, settings) if reader == "bioformats" else frozenset()
    return _Opened(data_set, inspection.structure, inspected.ome, orientation, lost)


def _named_like_plates(opened: Sequence[_Opened]) -> Iterator[Problem]:
    """Say that only the names of images tell their wells and sites, which are not asked here."""
    alone = [one.data_set.entry.path for one in opened if not one.ome.plates]
    paths = {path.rpartition("/")[2]: path for path in alone}
    fit = fitting_pattern(list(paths))
    if fit is not None:
        pattern, names = fit
        text = (
            f"{len(names)} images, such as this, are named as those of a plate, but nothing else "
            "tells so: each is a site of one well; if they are of a plate, register with "
            f"--pattern {pattern}"
        )
        yield Problem("warning", paths[names[0]], text)


def _type_problems(structure: Sequence[SeriesStructure]) -> Iterator[str]:
    for dtype in sorted({series.dtype for series in structure} - set(PIXEL_TYPES)):
        series = [str(index) for index, one in enumerate(structure) if one.dtype == dtype]
        more = f" and {len(series) - _MOST_NAMED} more" if len(series) > _MOST_NAMED else ""
        yield (
            f"series {', '.join(series[:_MOST_NAMED])}{more} has pixels of type {dtype}: left out; "
            f"expected one of {', '.join(PIXEL_TYPES)}; convert the file to register them"
        )


def _damages(found: FoundFiles, candidate: Candidate) -> Iterator[Problem]:
    for path in candidate.pixel_files:
        text = damage(found.folder / path)
        if text is not None:
            yield Problem("warning", path, text)


def _add_images(
    manifest: Manifest,
    sites: dict[SiteKey, SitePosition],
    opened: _Opened,
    place_of: dict[str, Place],
    cycle: int,
) -> None:
    data_set = opened.data_set
    for series, (image, structure) in enumerate(
        zip(opened.ome.images, opened.structure, strict=True)
    ):
        if structure.dtype not in PIXEL_TYPES:
            continue
        place = place_of[image.id]
        channels = image_channels(image.channels, structure.size_c)
        add_channels(manifest.channels, channels)
        position = _position(image, structure, place, opened)
        sites.setdefault(place.site, position)
        manifest.row_groups.append(
            ImageRows(
                site=place.site,
                acquisition=place.acquisition,
                cycle=cycle,
                channels=tuple(channel.name for channel in channels),
                source_file=data_set.entry.path,
                series=series,
                structure=structure,
                image=image,
                has_stage_um=data_set.format_name not in _STAGE_NOT_UM,
                absent=frozenset(ref.plane for ref in opened.lost if ref.series == series),
            )
        )


def _absences(manifest: Manifest) -> Iterator[Problem]:
    for row in manifest.rows():
        if row.source is None:
            yield absent_plane(
                None, "declared, but not there", row.site, row.channel, row.tpoint, row.zplane
            )


def _objectives(
    opened: Sequence[_Opened], places: Sequence[dict[str, Place]]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Give the objectives of each plate and acquisition."""
    told: defaultdict[tuple[str, str], list[str | None]] = defaultdict(list)
    for one, place_of in zip(opened, places, strict=True):
        for image in one.ome.images:
            place = place_of[image.id]
            told[place.site.plate, place.acquisition].append(image.objective)
    for key, names in told.items():
        if (objective := objective_names(names)) is not None:
            yield key, objective


def _position(
    image: OmeImage, structure: SeriesStructure, place: Place, opened: _Opened
) -> SitePosition:
    stage_position = image.stage_position or place.stage_position
    return SitePosition(
        height=structure.size_y,
        width=structure.size_x,
        name=image.name,
        stage_position=stage_position and opened.orientation.turned_back(stage_position),
        y_up=opened.data_set.format_name in _Y_UP,
    )
