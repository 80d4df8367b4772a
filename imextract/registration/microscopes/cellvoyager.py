"""Yokogawa CellVoyager plates (CV7000, CV8000), by their MeasurementData.mlf.

Every image has a record, which names its file; a record of a failure (ERR)
is of a plane that is absent.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.source import open_source
from imextract.registration.channels import distinct
from imextract.registration.declared_sizes import size_problems
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.local_names import why_not_local
from imextract.registration.lost_index import lost_index, orphans
from imextract.registration.manifest import ChannelInfo, Manifest, Problem
from imextract.registration.microscopes.mlf import (
    Channel,
    Detail,
    Record,
    Setting,
    read_detail,
    read_measurement,
    read_settings,
)
from imextract.registration.microscopes.mlf_failures import records_of_failures
from imextract.registration.microscopes.mlf_numbers import ChannelKey, Numbers, zsteps_um
from imextract.registration.microscopes.mlf_paths import (
    RecordPaths,
    is_image_or_correction,
    is_numbered_image,
)
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.objectives import objective_names
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_xml import joined, read_text

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

_DATA = "measurementdata.mlf"
_KNOWN_VERSION = "1.0"
_DETAIL = "measurementdetail.mrf"
_METADATA_SUFFIXES = (".mlf", ".mrf", ".mes", ".wpi", ".wpp", ".ppf", ".icr", ".xml", ".log")
# A record whose file lies in a folder of its own.
_IN_FOLDER = re.compile(rb">([^<>]*)[/\\][^<>/\\]*</(?:[A-Za-z]+:)?MeasurementRecord>")


@dataclass(frozen=True, slots=True)
class _Measurement:
    """All that is known of a plate, before its images are looked at."""

    plate: str
    records: list[Record]
    detail: Detail
    settings: dict[int, Setting]
    metadata: list[str]
    texts: str


def claim(found: FoundFiles) -> list[Claim]:
    """Claim every folder with a MeasurementData.mlf, and the folders that this names.

    Files of other formats there are left to other types. Images that only a
    CellVoyager names so are claimed without one too.
    """
    entries = {
        path.rpartition("/")[0]: path
        for path in found.files
        # The name is enough: what is wrong with the file, reading it tells.
        if path.rpartition("/")[2].lower() == _DATA
    }
    owner: dict[str, str] = {}
    for folder, entry in entries.items():
        owner[folder] = folder
        for name in _named_folders(found, entry):
            owner.setdefault(joined(folder, name), folder)
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path in found.files:
        folder = path.rpartition("/")[0]
        if folder in owner and _is_own(path):
            files[owner[folder]].add(path)
    claims = [Claim(folder, entries[folder], frozenset(files[folder])) for folder in entries]
    return [*claims, *orphans(found, claims, is_numbered_image)]


def _is_own(path: str) -> bool:
    return path.lower().endswith(_METADATA_SUFFIXES) or is_image_or_correction(path)


def _named_folders(found: FoundFiles, entry: str) -> set[str]:
    try:
        with open_source(found.folder / entry) as stream:
            names = {match[1].decode("utf-8", "replace") for match in _lines(stream)}
    except OSError:
        return set()
    return {name for name in names if why_not_local(name) is None}


def _lines(stream: Iterable[bytes]) -> Iterator[re.Match[bytes]]:
    for line in stream:
        yield from _IN_FOLDER.finditer(line)


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Give the planes of a measurement.

    Raises
    ------
    RegistrationError
        If its records are missing or cannot be read, or none of its images can.
    SourceFileError
        If its records are out of reach.
    """
    if is_image_or_correction(claim.entry):
        remedy = "--pattern yokogawa or --microscope bioformats"
        raise lost_index(claim, "a CellVoyager", "MeasurementData.mlf", remedy)
    problems: list[Problem] = []
    measurement = _measurement(found, claim, problems)
    records = list(_placed(measurement, claim.entry, problems))
    if not records:
        raise RegistrationError(
            f"{claim.entry}: has no record of an image; copy it again from the microscope"
        )
    numbers = Numbers(records)
    channels = _channels(numbers, measurement)
    paths = RecordPaths(found, claim)
    planes = list(_planes(measurement, records, numbers, channels, paths))
    planes.extend(
        PlaneFile(
            plate=measurement.plate,
            well=record.well,
            site=numbers.site(record),
            channel=channels[numbers.channel(record)].name,
            tpoint=numbers.tpoint(record),
            zplane=numbers.zplane(record),
            path=None,
        )
        for record in records_of_failures(measurement.records, records, numbers)
    )
    problems.extend(paths.problems(claim))
    logger.info("%s: %d records", claim.entry, len(measurement.records))
    manifest = manifest_of_planes(
        found,
        "cellvoyager",
        planes,
        acquisition=None,
        options=options,
        settings=settings,
        channels=list(channels.values()),
        metadata=measurement.metadata,
        metadata_text=measurement.texts,
        objective=objective_names(one.objective for one in measurement.settings.values()),
        problems=problems,
        y_grows_up=True,
    )
    manifest.problems.extend(size_problems(claim.entry, _sizes(measurement), manifest))
    return manifest


def _sizes(measurement: _Measurement) -> set[tuple[int, int]]:
    return {
        (channel.height, channel.width)
        for channel in measurement.detail.channels.values()
        if channel.height is not None and channel.width is not None
    }


def _measurement(found: FoundFiles, claim: Claim, problems: list[Problem]) -> _Measurement:
    data = read_measurement(found.folder / claim.entry)
    if data.version != _KNOWN_VERSION:
        text = (
            f"is of version {data.version!r}, which may mean other things than "
            f"{_KNOWN_VERSION!r}: check what the dry run shows"
        )
        problems.append(Problem("warning", claim.entry, text))
    here = {
        path.rpartition("/")[2].lower(): path
        for path in sorted(claim.files, key=natural_order)
        if path.rpartition("/")[0] == claim.root
    }
    detail, settings = Detail(), dict[int, Setting]()
    detail_path = here.get(_DETAIL)
    if detail_path is None:
        text = "MeasurementDetail.mrf is missing: pixel sizes and the plate's size are unknown"
        problems.append(Problem("warning", claim.entry, text))
    else:
        detail = read_detail(found.folder / detail_path)
    settings_path = _settings_path(here, detail)
    if settings_path is not None:
        try:
            settings = read_settings(found.folder / settings_path)
        except (RegistrationError, SourceFileError) as error:
            text = f"cannot be read: wavelengths and exposure times are unknown ({error})"
            problems.append(Problem("warning", settings_path, text))
    folder_name = claim.root.rpartition("/")[2] or found.name
    metadata = [path for name, path in here.items() if name.endswith(_METADATA_SUFFIXES)]
    metadata.sort(key=lambda path: path != claim.entry)
    kept = [path for path in (claim.entry, detail_path, settings_path) if path is not None]
    texts = "\n".join(f"<!-- {path} -->\n{read_text(found.folder / path)}" for path in kept)
    return _Measurement(
        detail.plate or folder_name, data.records, detail, settings, metadata, texts
    )


def _settings_path(here: dict[str, str], detail: Detail) -> str | None:
    """Give the file of settings: the one that is named, else the only one."""
    named = here.get((detail.settings_file or "").lower())
    others = [path for name, path in here.items() if name.endswith(".mes")]
    return named or (others[0] if len(others) == 1 else None)


def _placed(measurement: _Measurement, entry: str, problems: list[Problem]) -> Iterator[Record]:
    """Give the records that tell which plane they are of; name the others."""
    unplaced: Counter[str] = Counter()
    outside: set[str] = set()
    detail = measurement.detail
    for record in measurement.records:
        if record.is_placed:
            if (detail.rows and (record.row or 1) > detail.rows) or (
                detail.columns and (record.column or 1) > detail.columns
            ):
                outside.add(record.well)
            yield record
        else:
            unplaced["failures" if record.is_failed else "images"] += 1
    if unplaced["images"]:
        text = (
            f"{unplaced['images']} records of images do not tell their well, field or channel; "
            "copy the file again from the microscope"
        )
        problems.append(Problem("error", entry, text))
    if unplaced["failures"]:
        text = f"{unplaced['failures']} failures (ERR) are recorded without the plane that failed"
        problems.append(Problem("warning", entry, text))
    for well in sorted(outside):
        text = f"well {well} lies outside the plate of {detail.rows} x {detail.columns} wells"
        problems.append(Problem("error", entry, text))


def _channels(numbers: Numbers, measurement: _Measurement) -> dict[ChannelKey, ChannelInfo]:
    """Name the channels: by the dye where it is told, else C01, C02."""
    names = []
    for key in numbers.channels:
        setting = measurement.settings.get(key.channel, Setting())
        action = "" if key.action is None else f"_A{key.action:02d}"
        processing = f"_{key.processing}" if key.processing else ""
        names.append((setting.name or f"C{key.channel:02d}") + action + processing)
    return {
        key: ChannelInfo(
            name,
            measurement.settings.get(key.channel, Setting()).excitation_nm,
            measurement.settings.get(key.channel, Setting()).emission_nm,
        )
        for key, name in zip(numbers.channels, distinct(names), strict=True)
    }


def _planes(
    measurement: _Measurement,
    records: Sequence[Record],
    numbers: Numbers,
    channels: dict[ChannelKey, ChannelInfo],
    paths: RecordPaths,
) -> Iterator[PlaneFile]:
    start = min((record.time_s for record in records if record.time_s is not None), default=0.0)
    steps = zsteps_um(records, numbers)
    for record in records:
        key = numbers.channel(record)
        size = measurement.detail.channels.get(key.channel, Channel(None, None))
        setting = measurement.settings.get(key.channel, Setting())
        # The text of a failure is no file, and what lies under it no whole image.
        path = None if record.is_failed else paths.find(record)
        yield PlaneFile(
            plate=measurement.plate,
            well=record.well,
            site=numbers.site(record),
            channel=channels[key].name,
            tpoint=numbers.tpoint(record),
            zplane=numbers.zplane(record),
            path=path,
            pixel_size_x_um=size.pixel_size_x_um,
            pixel_size_y_um=size.pixel_size_y_um,
            pixel_size_z_um=steps.get(key),
            stage_x_um=record.x_um,
            stage_y_um=record.y_um,
            stage_z_um=record.z_um,
            time_stamp_s=None if record.time_s is None else round(record.time_s - start, 3),
            exposure_ms=setting.exposure_ms,
        )
