"""What a CellVoyager writes of a measurement: records of images, channels, settings.

MeasurementData.mlf has a record for each image, MeasurementDetail.mrf tells
of the plate and of pixel sizes, the .mes file of light, filters and exposure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.registration.objectives import objective_name
from imextract.registration.units import number
from imextract.registration.vendor_xml import visit_xml
from imextract.registration.wells import well_name

__all__ = [
    "Channel",
    "Detail",
    "Measurement",
    "Record",
    "Setting",
    "read_detail",
    "read_measurement",
    "read_settings",
]

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
_NUMBERS = frozenset(
    {
        "ActionIndex",
        "Ch",
        "Column",
        "FieldIndex",
        "PartialTileIndex",
        "Row",
        "TileXIndex",
        "TileYIndex",
        "TimelineIndex",
        "TimePoint",
        "ZIndex",
    }
)
_FILTER_NM = re.compile(r"[A-Z]{2}\s*([0-9]{3,4})(?:[/-][0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """An image that was taken, or failed; numbers as the microscope counts, from 1.

    None where the record does not tell, as those of failures often do not.
    """

    is_failed: bool
    file_name: str
    row: int | None
    column: int | None
    timeline: int | None
    time_point: int | None
    field: int | None
    tile: tuple[int, ...]
    action: int | None
    channel: int | None
    zindex: int | None
    processing: str
    x_um: float | None
    y_um: float | None
    z_um: float | None
    time_s: float | None

    @property
    def has_well(self) -> bool:
        """Whether the record tells a well."""
        return (self.row or 0) >= 1 and (self.column or 0) >= 1

    @property
    def is_placed(self) -> bool:
        """Whether the record tells which plane it is of."""
        return self.has_well and (self.field or 0) >= 1 and (self.channel or 0) >= 1

    @property
    def well(self) -> str:
        """Name of the well, of records that tell it."""
        return well_name((self.row or 1) - 1, (self.column or 1) - 1)


@dataclass(frozen=True, slots=True)
class Measurement:
    """All records of a measurement, and the version of their format."""

    version: str
    records: list[Record]


@dataclass(frozen=True, slots=True)
class Channel:
    """Size of the pixels of a channel, and of its images."""

    pixel_size_x_um: float | None
    pixel_size_y_um: float | None
    width: int | None = None
    height: int | None = None


@dataclass(slots=True)
class Detail:
    """The measurement as a whole."""

    plate: str | None = None
    rows: int | None = None
    columns: int | None = None
    settings_file: str | None = None
    channels: dict[int, Channel] = field(default_factory=dict)


@dataclass(slots=True)
class Setting:
    """How a channel was taken."""

    name: str | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None
    exposure_ms: float | None = None
    objective: str | None = None


def read_measurement(path: Path) -> Measurement:
    """Read MeasurementData.mlf.

    Raises
    ------
    RegistrationError
        If it is no well-formed XML, or has entities, or words where numbers are due.
    SourceFileError
        If it cannot be read.
    """
    visitor = _Records(path)
    visit_xml(path, visitor)
    return Measurement(visitor.version, visitor.records)


def read_detail(path: Path) -> Detail:
    """Read MeasurementDetail.mrf; errors as of `read_measurement`."""
    visitor = _DetailVisitor()
    visit_xml(path, visitor)
    return visitor.detail


def read_settings(path: Path) -> dict[int, Setting]:
    """Read the settings of each channel from the .mes file; errors as of `read_measurement`."""
    visitor = _Settings()
    visit_xml(path, visitor)
    return visitor.by_channel()


class _Records:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.version = ""
        self.records: list[Record] = []
        self._told: dict[str, str] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "MeasurementRecord":
            self._told = _local(attributes)
        elif name == "MeasurementData":
            self.version = _local(attributes).get("Version", "")

    def end(self, name: str, text: str) -> None:
        if name == "MeasurementRecord":
            self.records.append(self._record(text))

    def _record(self, text: str) -> Record:
        told = self._told
        # Types that later models may add are no images either.
        is_failed = told.get("Type", "IMG") != "IMG"
        if not is_failed:
            self._check_numbers(text)
        tile = (_integer(told, f"{part}Index") or 0 for part in ("PartialTile", "TileY", "TileX"))
        return Record(
            is_failed=is_failed,
            file_name=text,
            row=_integer(told, "Row"),
            column=_integer(told, "Column"),
            timeline=_integer(told, "TimelineIndex"),
            time_point=_integer(told, "TimePoint"),
            field=_integer(told, "FieldIndex"),
            tile=tuple(tile),
            action=_integer(told, "ActionIndex"),
            channel=_integer(told, "Ch"),
            zindex=_integer(told, "ZIndex"),
            processing=told.get("ZImageProcessing", "").strip(),
            x_um=number(told.get("X")),
            y_um=number(told.get("Y")),
            z_um=number(told.get("Z")),
            time_s=_seconds(told.get("Time")),
        )

    def _check_numbers(self, image: str) -> None:
        """Refuse what stands in place of a number: the image would be taken for another."""
        for name in _NUMBERS & self._told.keys():
            if self._told[name].strip() and _integer(self._told, name) is None:
                raise RegistrationError(
                    f"{self._path}: {name} of image {image!r} is {self._told[name]!r}: expected "
                    "a whole number; copy the file again from the microscope"
                )


class _DetailVisitor:
    def __init__(self) -> None:
        self.detail = Detail()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        told = _local(attributes)
        if name == "MeasurementDetail":
            self.detail.plate = self.detail.plate or told.get("Title", "").strip() or None
            self.detail.rows = _integer(told, "RowCount")
            self.detail.columns = _integer(told, "ColumnCount")
            self.detail.settings_file = told.get("MeasurementSettingFileName") or None
        elif name == "MeasurementSamplePlate":
            self.detail.plate = told.get("Name", "").strip() or self.detail.plate
        elif name == "MeasurementChannel" and (channel := _integer(told, "Ch")) is not None:
            self.detail.channels[channel] = Channel(
                _positive(told.get("HorizontalPixelDimension")),
                _positive(told.get("VerticalPixelDimension")),
                _integer(told, "HorizontalPixels"),
                _integer(told, "VerticalPixels"),
            )

    def end(self, name: str, text: str) -> None:
        """Hear nothing: all is told by attributes."""


class _Settings:
    def __init__(self) -> None:
        self._light_nm: dict[str, float] = {}
        self._lights: dict[int, list[str]] = {}
        self._settings: dict[int, Setting] = {}
        self._channel: int | None = None

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        told = _local(attributes)
        if name == "LightSource":
            wavelength = _positive(told.get("WaveLength"))
            if wavelength is not None:
                self._light_nm[told.get("Name", "")] = wavelength
        elif name == "Channel":
            self._channel = _integer(told, "Ch")
            if self._channel is not None:
                self._settings[self._channel] = _setting(told)

    def end(self, name: str, text: str) -> None:
        if name == "Channel":
            self._channel = None
        elif name == "LightSourceName" and self._channel is not None:
            self._lights.setdefault(self._channel, []).append(text)

    def by_channel(self) -> dict[int, Setting]:
        for channel, setting in self._settings.items():
            known = {self._light_nm.get(name) for name in self._lights.get(channel, [])}
            # Light of two sources has no one wavelength.
            if len(known) == 1:
                setting.excitation_nm = known.pop()
        return self._settings


def _setting(told: Mapping[str, str]) -> Setting:
    emission = _FILTER_NM.match(told.get("Acquisition", "").strip())
    return Setting(
        name=_channel_name(told),
        emission_nm=float(emission[1]) if emission else None,
        exposure_ms=_positive(told.get("ExposureTime")),
        objective=objective_name(told.get("Objective"), told.get("Magnification")),
    )


def _channel_name(told: Mapping[str, str]) -> str | None:
    """Give the dye that the user named; a bare wavelength is no name."""
    names = (told.get(key, "").strip() for key in ("Fluorophore", "Target"))
    return next((name for name in names if name and not name.isdigit()), None)


def _local(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name.rpartition(":")[2]: value for name, value in attributes.items()}


def _integer(told: Mapping[str, str], name: str) -> int | None:
    text = told.get(name, "")
    return int(text) if _INTEGER.fullmatch(text) else None


def _positive(text: str | None) -> float | None:
    value = number(text)
    return value if value is not None and value > 0 else None


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except (ValueError, OverflowError):
        return None
