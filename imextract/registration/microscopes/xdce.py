"""The `.xdce` of a plate of an IN Cell Analyzer: what it says of each plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.registration.objectives import objective_name
from imextract.registration.units import length_um, number
from imextract.registration.vendor_xml import visit_xml

__all__ = ["Wavelength", "Xdce", "XdceImage", "read_xdce"]

_ROOT = "ImageStack"
_MOST_DIGITS = 9


@dataclass(slots=True)
class XdceImage:
    """A plane as the index tells it; indices from zero, row and column from one."""

    filename: str
    thumbnail: str
    time_s: float | None
    clock_s: float | None
    row: int = 0
    column: int = 0
    field: int = -1
    tpoint: int = -1
    wave: int = -1
    zplane: int = -1
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    exposure_ms: float | None = None


@dataclass(slots=True)
class Wavelength:
    """A channel: the names of its filters, what they let pass."""

    emission: str = ""
    excitation: str = ""
    emission_nm: float | None = None
    excitation_nm: float | None = None


@dataclass(slots=True)
class Xdce:
    """What an index says of its plate, channels and planes; `sizes` are heights and widths."""

    plate: str | None = None
    rows: int | None = None
    columns: int | None = None
    declared_images: int | None = None
    pixel_size_x_um: float | None = None
    pixel_size_y_um: float | None = None
    z_step_um: float | None = None
    objective: str | None = None
    wavelengths: dict[int, Wavelength] = field(default_factory=dict)
    offsets: list[tuple[float | None, float | None]] = field(default_factory=list)
    images: list[XdceImage] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)


def read_xdce(path: Path) -> Xdce:
    """Read an index.

    Raises
    ------
    RegistrationError
        If it is none, or numbers are missing.
    """
    reading = _Reading(path)
    visit_xml(path, reading)
    if not reading.index.images:
        raise RegistrationError(f"{path}: names no images; copy the file again from the microscope")
    _count_from_first(reading.index.images)
    return reading.index


def _count_from_first(images: Sequence[XdceImage]) -> None:
    """Let the time of day, which newer ones tell, begin with the first image."""
    first = min((image.clock_s for image in images if image.clock_s is not None), default=None)
    for image in images:
        if first is not None and image.clock_s is not None and image.time_s is None:
            image.time_s = image.clock_s - first


class _Reading:
    """Collects what the attributes of the elements say."""

    def __init__(self, path: Path) -> None:
        self.index = Xdce()
        self._path = path
        self._depth = 0
        self._image: XdceImage | None = None
        self._wave: Wavelength | None = None

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Open an element."""
        if self._depth == 0 and name != _ROOT:
            raise RegistrationError(
                f"{self._path}: expected an index of an IN Cell Analyzer ({_ROOT}), got {name!r}; "
                "register with --microscope bioformats"
            )
        self._depth += 1
        if name == "Image":
            self._image = self._new_image(attributes)
        elif self._image is not None:
            self._describe_image(self._image, name, attributes)
        elif name == "Wavelength":
            index = self._integer(attributes, "index", len(self.index.wavelengths))
            self._wave = self.index.wavelengths[index] = Wavelength()
        elif self._wave is not None:
            _describe_wave(self._wave, name, attributes)
        else:
            self._describe_plate(name, attributes)

    def end(self, name: str, text: str) -> None:  # noqa: ARG002 - as every visitor
        """Close an element."""
        self._depth -= 1
        if name == "Image" and self._image is not None:
            self._add_image(self._image)
            self._image = None
        elif name == "Wavelength":
            self._wave = None

    def _new_image(self, attributes: Mapping[str, str]) -> XdceImage:
        milliseconds = number(attributes.get("acquisition_time_ms"))
        return XdceImage(
            filename=attributes.get("filename", ""),
            thumbnail=attributes.get("thumbnail", ""),
            time_s=None if milliseconds is None else milliseconds / 1000,
            clock_s=number(attributes.get("timestamp_sec")),
        )

    def _describe_image(self, image: XdceImage, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Row":
            image.row = self._integer(attributes, "number")
        elif name == "Column":
            image.column = self._integer(attributes, "number")
        elif name == "Identifier":
            image.field = self._integer(attributes, "field_index")
            image.tpoint = self._integer(attributes, "time_index", 0)
            image.wave = self._integer(attributes, "wave_index", 0)
            image.zplane = self._integer(attributes, "z_index", 0)
        elif name == "OffsetFromWellCenter":
            image.x_um, image.y_um = number(attributes.get("x")), number(attributes.get("y"))
        elif name == "FocusPosition":
            image.z_um = number(attributes.get("z"))
        elif name == "Exposure":
            image.exposure_ms = number(attributes.get("time"))

    def _describe_plate(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Plate":
            self.index.rows = self._integer(attributes, "rows")
            self.index.columns = self._integer(attributes, "columns")
        elif name == "Images" and "number" in attributes:
            self.index.declared_images = self._integer(attributes, "number")
        elif name == "ObjectiveCalibration":
            unit = attributes.get("unit", "µm")
            keys = "objective_name", "magnification", "numerical_aperture"
            self.index.objective = objective_name(*map(attributes.get, keys))
            self.index.pixel_size_x_um = _pixel_size(attributes.get("pixel_width"), unit)
            self.index.pixel_size_y_um = _pixel_size(attributes.get("pixel_height"), unit)
        elif name == "Size" and {"height", "width"} <= attributes.keys():
            height, width = (self._integer(attributes, key) for key in ("height", "width"))
            self.index.sizes.add((height, width))
        elif name == "ZDimensionParameters":
            self.index.z_step_um = number(attributes.get("step")) or None
        elif name == "offset_point":
            offset = number(attributes.get("x")), number(attributes.get("y"))
            self.index.offsets.append(offset)

    def _add_image(self, image: XdceImage) -> None:
        missing = [name for name in ("row", "column", "field", "wave") if getattr(image, name) < 0]
        if missing or not image.row or not image.column:
            raise RegistrationError(
                f"{self._path}: image {image.filename!r} has no {', '.join(missing) or 'well'}: "
                "expected a Well and an Identifier; copy the file again from the microscope"
            )
        if image.x_um is None and image.field < len(self.index.offsets):
            image.x_um, image.y_um = self.index.offsets[image.field]
        self.index.images.append(image)

    def _integer(self, attributes: Mapping[str, str], name: str, default: int | None = None) -> int:
        text = attributes.get(name)
        if text is None and default is not None:
            return default
        if text is None or not (text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS):
            where = f"image {self._image.filename!r}" if self._image else "the protocol"
            raise RegistrationError(
                f"{self._path}: {name} of {where} is {text!r}: expected a whole number from 0; "
                "copy the file again from the microscope"
            )
        return int(text)


def _describe_wave(wave: Wavelength, name: str, attributes: Mapping[str, str]) -> None:
    if name == "EmissionFilter":
        wave.emission = attributes.get("name", "")
        wave.emission_nm = number(attributes.get("wavelength")) or None
    elif name == "ExcitationFilter":
        wave.excitation = attributes.get("name", "")
        wave.excitation_nm = number(attributes.get("wavelength")) or None


def _pixel_size(text: str | None, unit: str) -> float | None:
    known = length_um(text, unit)
    # The micro sign is often damaged; the number is in micrometres even so.
    size = number(text) if known is None and unit.endswith("m") else known
    return size if size and size > 0 else None
