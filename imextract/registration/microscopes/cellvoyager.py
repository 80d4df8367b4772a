"""Yokogawa CellVoyager plates (CV7000, CV8000), by their MeasurementData.mlf.

Every image has a record, which names its file; a record of a failure (ERR)
is of a plane that is absent.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.source import open_source
from imextract.registration.channels import distinct
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.local_names import why_not_local
from imextract.registration.manifest import ChannelInfo, Manifest, Problem
from imextract.registration.microscopes.mlf import (
    Channel,
    Detail,
    Record,
    Setting,
    read_detail,
    read_records,
    read_settings,
)
from imextract.registration.microscopes.mlf_numbers import ChannelKey, Numbers
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.vendor_xml import joined, read_head, read_text
from imextract.registration.wells import well_name

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

_DATA = "measurementdata.mlf"
_DETAIL = "measurementdetail.mrf"
_METADATA_SUFFIXES = (".mlf", ".mrf", ".mes", ".wpi", ".wpp", ".ppf", ".icr", ".xml", ".log")
_CORRECTIONS = re.compile("(?:DC|SC)_.*", re.IGNORECASE | re.DOTALL)
_IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
# A record whose file lies in a folder of its own.
_IN_FOLDER = re.compile(rb">([^<>]*)[/\\][^<>/\\]*</(?:[A-Za-z]+:)?MeasurementRecord>")
_MOST_NAMED = 20
_STACKS_MEASURED = 200


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
    """Claim every folder with a MeasurementData.mlf, and the folders that this names."""
    entries = {
        path.rpartition("/")[0]: path
        for path in found.files
        if path.rpartition("/")[2].lower() == _DATA
        and b"MeasurementData" in read_head(found.folder / path)
    }
    owner: dict[str, str] = {}
    for folder, entry in entries.items():
        owner[folder] = folder
        for name in _named_folders(found, entry):
            owner.setdefault(joined(folder, name), folder)
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path in found.files:
        if path.rpartition("/")[0] in owner:
            files[owner[path.rpartition("/")[0]]].add(path)
    return [Claim(folder, entries[folder], frozenset(files[folder])) for folder in entries]


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
        If its records cannot be read, or none of its images.
    SourceFileError
        If its records are out of reach.
    """
    problems: list[Problem] = []
    measurement = _measurement(found, claim, problems)
    records = list(_placed(measurement, claim.entry, problems))
    if not records:
        raise RegistrationError(
            f"{claim.entry}: has no record of an image; copy it again from the microscope"
        )
    numbers = Numbers(records)
    channels = _channels(numbers, measurement)
    paths = _Paths(found, claim)
    planes = list(_planes(measurement, records, numbers, channels, paths))
    planes.extend(_failed_without_place(measurement, records, numbers, channels))
    problems.extend(paths.problems(claim))
    logger.info("%s: %d records", claim.entry, len(measurement.records))
    return manifest_of_planes(
        found,
        "cellvoyager",
        planes,
        acquisition=None,
        options=options,
        settings=settings,
        channels=list(channels.values()),
        metadata=measurement.metadata,
        metadata_text=measurement.texts,
        problems=problems,
        y_grows_up=True,
    )


def _measurement(found: FoundFiles, claim: Claim, problems: list[Problem]) -> _Measurement:
    records = read_records(found.folder / claim.entry)
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
    return _Measurement(detail.plate or folder_name, records, detail, settings, metadata, texts)


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
        if _is_placed(record):
            well = well_name((record.row or 1) - 1, (record.column or 1) - 1)
            if (detail.rows and (record.row or 1) > detail.rows) or (
                detail.columns and (record.column or 1) > detail.columns
            ):
                outside.add(well)
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


def _is_placed(record: Record) -> bool:
    numbers = record.field, record.channel
    return _has_well(record) and all(number is not None and number >= 1 for number in numbers)


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


class _Paths:
    """Finds the file of a record, and remembers which files have one."""

    def __init__(self, found: FoundFiles, claim: Claim) -> None:
        self._found = found
        self._root = claim.root
        self._used: Counter[str] = Counter()
        self._converted: list[str] = []
        self._siblings: dict[str, str] = {}
        for path in claim.files:
            if _is_image(path):
                self._siblings[path.rpartition(".")[0]] = path

    def find(self, record: Record) -> str | None:
        """Give the path of a record's file, in another image format if it was converted."""
        if not record.file_name:
            return None
        path = joined(self._root, record.file_name)
        if path not in self._found.files:
            sibling = self._siblings.get(path.rpartition(".")[0])
            if sibling is not None:
                self._converted.append(sibling)
                path = sibling
        self._used[path] += 1
        return path

    def problems(self, claim: Claim) -> Iterator[Problem]:
        if self._converted:
            text = (
                f"{len(self._converted)} images are recorded under another suffix, such as this: "
                "taken for the same, converted"
            )
            yield Problem("warning", self._converted[0], text)
        others = sorted(claim.files - self._used.keys(), key=natural_order)
        foreign = [path for path in others if _is_image(path) and not _is_correction(path)]
        if foreign:
            text = f"{len(foreign)} images have no record in {claim.entry}, such as this: left out"
            yield Problem("warning", foreign[0], text)
        for path, count in islice(((p, n) for p, n in self._used.items() if n > 1), _MOST_NAMED):
            text = f"{count} records of {claim.entry} name this file: expected one for each plane"
            yield Problem("error", path, text)


def _is_image(path: str) -> bool:
    return path.lower().endswith(_IMAGE_SUFFIXES)


def _is_correction(path: str) -> bool:
    """Whether an image is of the camera's dark current or the lamp's shading."""
    return _CORRECTIONS.match(path.rpartition("/")[2]) is not None


def _planes(
    measurement: _Measurement,
    records: Sequence[Record],
    numbers: Numbers,
    channels: dict[ChannelKey, ChannelInfo],
    paths: _Paths,
) -> Iterator[PlaneFile]:
    start = min((record.time_s for record in records if record.time_s is not None), default=0.0)
    steps = _zsteps_um(records, numbers)
    for record in records:
        key = numbers.channel(record)
        size = measurement.detail.channels.get(key.channel, Channel(None, None))
        setting = measurement.settings.get(key.channel, Setting())
        # The text of a failure is no file, and what lies under it no whole image.
        path = None if record.is_failed else paths.find(record)
        yield PlaneFile(
            plate=measurement.plate,
            well=_well(record),
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


def _failed_without_place(
    measurement: _Measurement,
    records: Sequence[Record],
    numbers: Numbers,
    channels: dict[ChannelKey, ChannelInfo],
) -> Iterator[PlaneFile]:
    """Give the planes that a failure may mean: those that other wells have, and this lacks.

    A failure to focus is recorded with a well alone, or a field; the planes
    that were to follow have no records.
    """
    failures = [
        record
        for record in measurement.records
        if record.is_failed and not _is_placed(record) and _has_well(record)
    ]
    if not failures:
        return
    alike = {numbers.place(record): record for record in records}
    taken = {(_well(record), numbers.place(record)) for record in records}
    for failure in {_kind(failure): failure for failure in failures}.values():
        for place, record in alike.items():
            if (_well(failure), place) in taken or not _may_mean(failure, record):
                continue
            taken.add((_well(failure), place))
            here = replace(record, row=failure.row, column=failure.column)
            yield PlaneFile(
                plate=measurement.plate,
                well=_well(here),
                site=place.site,
                channel=channels[place.channel].name,
                tpoint=numbers.tpoint(here),
                zplane=numbers.zplane(here),
                path=None,
            )


def _kind(failure: Record) -> tuple[object, ...]:
    return (failure.row, failure.column, *_told(failure))


def _told(record: Record) -> tuple[int | None, ...]:
    return (record.timeline, record.time_point, record.field, record.action, record.channel)


def _may_mean(failure: Record, record: Record) -> bool:
    """Tell whether what a failure says does not speak against a plane."""
    pairs = zip(_told(failure), _told(record), strict=True)
    return all(told is None or told == number for told, number in pairs)


def _has_well(record: Record) -> bool:
    return (record.row or 0) >= 1 and (record.column or 0) >= 1


def _well(record: Record) -> str:
    return well_name((record.row or 1) - 1, (record.column or 1) - 1)


def _zsteps_um(records: Iterable[Record], numbers: Numbers) -> dict[ChannelKey, float]:
    """Give the distance of z-planes by channel, in the middle of those of some stacks."""
    stacks: dict[tuple[object, ...], dict[int, float]] = {}
    for record in records:
        stack = (
            numbers.channel(record),
            record.row,
            record.column,
            record.field,
            record.tile,
            record.timeline,
            record.time_point,
        )
        if record.z_um is not None and (stack in stacks or len(stacks) < _STACKS_MEASURED):
            stacks.setdefault(stack, {})[numbers.zplane(record)] = record.z_um
    steps: defaultdict[ChannelKey, list[float]] = defaultdict(list)
    for (key, *_), heights in stacks.items():
        for zplane, height in heights.items():
            step = abs(heights.get(zplane + 1, height) - height)
            if step > 0 and isinstance(key, ChannelKey):
                steps[key].append(step)
    return {key: round(sorted(found)[len(found) // 2], 4) for key, found in steps.items()}
