"""The index of a plate of an Operetta or Opera Phenix (Harmony): what it says of each plane."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.registration.objectives import objective_name
from imextract.registration.units import length_um, number, time_s
from imextract.registration.vendor_xml import visit_xml

__all__ = ["HarmonyChannel", "HarmonyImage", "HarmonyIndex", "is_harmony_index", "read_index"]

_ROOT = "EvaluationInputData"
_NAMESPACE = re.compile(r"(?:Harmony|Operett[ae])(?:V(\d+))?$")
_HEAD = re.compile(rb"EvaluationInputData[^>]*(?:Harmony|Operett[ae])")
# Those that were seen; Harmony 1 to 3 have the elements of 4.
_NEWEST_VERSION = 7

_MOST_DIGITS = 9
_OBJECTIVE = ("Magnification", "NA")


@dataclass(frozen=True, slots=True)
class HarmonyImage:
    """A plane as the index tells it; its numbers are the microscope's."""

    row: int
    column: int
    field: int
    plane: int
    tpoint: int
    channel: int
    url: str
    state: str
    pixel_size_x_um: float | None
    pixel_size_y_um: float | None
    position_x_um: float | None
    position_y_um: float | None
    position_z_um: float | None
    offset_s: float | None
    exposure_s: float | None


@dataclass(frozen=True, slots=True)
class HarmonyChannel:
    """A channel as the index tells it."""

    name: str | None
    excitation_nm: float | None
    emission_nm: float | None


@dataclass(slots=True)
class HarmonyIndex:
    """What an index says of its plate, channels and planes.

    `sizes` are heights and widths, `objectives` those of the channels.
    """

    plate: str | None = None
    rows: int | None = None
    columns: int | None = None
    channels: dict[int, HarmonyChannel] = field(default_factory=dict)
    images: list[HarmonyImage] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    objectives: dict[int, str | None] = field(default_factory=dict)


def is_harmony_index(head: bytes) -> bool:
    """Tell by the first bytes of a file whether it is an index."""
    return _HEAD.search(head) is not None


def read_index(path: Path) -> HarmonyIndex:
    """Read an index.

    Raises
    ------
    RegistrationError
        If it is none, is newer than those known, or numbers are missing.
    """
    reading = _Reading(path)
    visit_xml(path, reading)
    if not reading.index.images:
        raise RegistrationError(f"{path}: names no images; copy the file again from the microscope")
    return reading.index


class _Reading:
    """Collects images; a value that an image does not have is that of its channel's map."""

    def __init__(self, path: Path) -> None:
        self.index = HarmonyIndex()
        self._path = path
        self._parents: list[str] = []
        self._values: dict[str, str] = {}
        self._units: dict[str, str] = {}
        self._entry: int | None = None
        self._of_channel: dict[int, dict[str, tuple[str, str]]] = {}
        self._has_absolute_z = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Open an element."""
        if not self._parents:
            self._begin(name, attributes)
        elif name in ("Image", "Entry"):
            self._values, self._units = {}, {}
            self._entry = self._entry_channel(attributes) if name == "Entry" else None
        elif "Unit" in attributes:
            self._units[name] = attributes["Unit"]
        self._parents.append(name)

    def end(self, name: str, text: str) -> None:
        """Close an element."""
        self._parents.pop()
        parent = self._parents[-1] if self._parents else ""
        if parent in ("Image", "Entry"):
            self._values[name] = text
        elif name == "Image" and parent == "Images":
            self._add_image()
        elif name == "Entry":
            self._add_entry()
        elif parent == "Plate":
            self._add_plate(name, text)

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        namespaces = [text for key, text in attributes.items() if key.startswith("xmlns")]
        known = [match for text in namespaces if (match := _NAMESPACE.search(text))]
        if name != _ROOT or not known:
            raise RegistrationError(
                f"{self._path}: expected an index of Harmony ({_ROOT}), got {name!r} of "
                f"{', '.join(namespaces) or 'no namespace'}; register with --microscope bioformats"
            )
        version = int(known[0][1] or 0)
        if version > _NEWEST_VERSION:
            raise RegistrationError(
                f"{self._path}: written by Harmony {version}, expected at most "
                f"{_NEWEST_VERSION}; register with --microscope bioformats and compare"
            )
        # Before it was called Harmony, it told the height of the stage only.
        self._has_absolute_z = known[0][0].startswith("Operett")

    def _add_plate(self, name: str, text: str) -> None:
        if name == "Name" or (name == "PlateID" and self.index.plate is None):
            self.index.plate = text or self.index.plate
        elif name == "PlateRows":
            self.index.rows = self._integer(name, text)
        elif name == "PlateColumns":
            self.index.columns = self._integer(name, text)

    def _entry_channel(self, attributes: Mapping[str, str]) -> int | None:
        text = attributes.get("ChannelID", "")
        return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None

    def _add_entry(self) -> None:
        if self._entry is not None:
            of_channel = self._of_channel.setdefault(self._entry, {})
            for name, text in self._values.items():
                of_channel[name] = text, self._units.get(name, "")
        self._entry = None

    def _add_image(self) -> None:
        channel = self._number("ChannelID")
        if channel not in self.index.channels:
            self.index.channels[channel] = self._channel(channel)
            texts = (self._measure(channel, f"Objective{key}", "")[0] for key in _OBJECTIVE)
            self.index.objectives[channel] = objective_name(None, *texts)
        self._add_size(channel)
        height = "AbsPositionZ" if self._has_absolute_z else "PositionZ"
        self.index.images.append(
            HarmonyImage(
                row=self._number("Row"),
                column=self._number("Col"),
                field=self._number("FieldID"),
                plane=self._number("PlaneID"),
                tpoint=self._number("TimepointID"),
                channel=channel,
                url=self._values.get("URL", ""),
                state=self._values.get("State", ""),
                pixel_size_x_um=self._length(channel, "ImageResolutionX"),
                pixel_size_y_um=self._length(channel, "ImageResolutionY"),
                position_x_um=self._length(channel, "PositionX"),
                position_y_um=self._length(channel, "PositionY"),
                position_z_um=self._length(channel, height),
                offset_s=self._time(channel, "MeasurementTimeOffset"),
                exposure_s=self._time(channel, "ExposureTime"),
            )
        )

    def _add_size(self, channel: int) -> None:
        names = "ImageSizeY", "ImageSizeX"
        texts = [self._measure(channel, name, "")[0] for name in names]
        if None not in texts:
            height, width = (
                self._integer(name, text or "") for name, text in zip(names, texts, strict=True)
            )
            self.index.sizes.add((height, width))

    def _number(self, name: str) -> int:
        return self._integer(name, self._values.get(name, ""))

    def _length(self, channel: int, name: str) -> float | None:
        return length_um(*self._measure(channel, name, "m"))

    def _time(self, channel: int, name: str) -> float | None:
        return time_s(*self._measure(channel, name, "s"))

    def _channel(self, channel: int) -> HarmonyChannel:
        name, _ = self._measure(channel, "ChannelName", "")
        excitation, emission = (
            number(self._measure(channel, name, "nm")[0])
            for name in ("MainExcitationWavelength", "MainEmissionWavelength")
        )
        # Transmitted light has wavelength 0.
        return HarmonyChannel(name, excitation or None, emission or None)

    def _measure(self, channel: int, name: str, unit: str) -> tuple[str | None, str]:
        """Give the text and the unit of a value of the image, or else of its channel."""
        if name in self._values:
            return self._values[name], self._units.get(name) or unit
        text, own_unit = self._of_channel.get(channel, {}).get(name, (None, ""))
        return text, own_unit or unit

    def _integer(self, name: str, text: str) -> int:
        if not (text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS):
            image = self._values.get("id", "")
            raise RegistrationError(
                f"{self._path}: {name} of image {image!r} is {text!r}: expected a whole number "
                "from 0; copy the file again from the microscope"
            )
        return int(text)
