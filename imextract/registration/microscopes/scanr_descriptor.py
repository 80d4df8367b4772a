"""The `experiment_descriptor.xml` of a ScanR: what was to be imaged, and where.

It is a dump of LabVIEW values: each has a name, groups of them too, and what
a value means follows from its own name and those of the groups around it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.registration.units import number
from imextract.registration.vendor_xml import encoding_of, visit_xml

__all__ = ["ScanrChannel", "ScanrDescriptor", "descriptor_text", "read_descriptor"]

_WELLS = "well selection table + cDNA"
_POSITIONS = "subposition list"
_PLATE = "format typedef"
_AUTOFOCUS = "Autofocus"
_GROUPS = frozenset({"Array", "Cluster"})
# Beyond these a number is damage, not an experiment.
_LARGEST_COUNT = 100_000


@dataclass(frozen=True, slots=True)
class ScanrChannel:
    """A channel that was imaged."""

    name: str
    exposure_ms: float | None


@dataclass(slots=True)
class ScanrDescriptor:
    """What a descriptor says; wells by number, with their label where it has one."""

    plate: str | None = None
    rows: int | None = None
    columns: int | None = None
    wells: dict[int, str | None] = field(default_factory=dict)
    channels: list[ScanrChannel] = field(default_factory=list)
    positions: list[tuple[float, float]] = field(default_factory=list)
    grid: tuple[int, int] | None = None
    slices: int | None = None
    tpoints: int | None = None
    z_step_um: float | None = None
    pixel_size_um: float | None = None

    @property
    def fields(self) -> int | None:
        """How many fields each well has."""
        if self.positions:
            return len(self.positions)
        return self.grid[0] * self.grid[1] if self.grid is not None else None


def read_descriptor(path: Path) -> ScanrDescriptor:
    """Read a descriptor.

    Raises
    ------
    RegistrationError
        If it is no XML, has no value of LabVIEW, or counts make no sense.
    """
    reading = _Reading(path)
    visit_xml(path, reading, encoding=_encoding(path.read_bytes()))
    if not reading.has_values:
        raise RegistrationError(
            f"{path}: expected the descriptor of a ScanR, got XML without a value of LabVIEW; copy "
            "the file again from the microscope, or remove it to go by the names of the images"
        )
    return reading.descriptor()


def descriptor_text(path: Path) -> str:
    """Read the text of a descriptor."""
    content = path.read_bytes()
    return content.decode(_encoding(content), "replace")


def _encoding(content: bytes) -> str:
    """Tell the encoding; older ones declare none and write ISO 8859-1."""
    encoding = encoding_of(content[:4096])
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return "iso-8859-1"
    return encoding


@dataclass(slots=True)
class _Element:
    tag: str
    name: str = ""
    values: dict[str, str] = field(default_factory=dict)


class _Reading:
    """Collects named values, and those of the groups that matter."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[_Element] = []
        self._values: dict[str, str] = {}
        self._wells: list[str] = []
        self._positions: list[float] = []
        self._channels: list[ScanrChannel] = []

    @property
    def has_values(self) -> bool:
        """Whether anything was read that a descriptor has."""
        return bool(self._values or self._wells or self._positions)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:  # noqa: ARG002
        """Open an element."""
        self._open.append(_Element(name))

    def end(self, name: str, text: str) -> None:
        """Close an element."""
        closed = self._open.pop()
        if not self._open:
            return
        if name == "Name":
            self._open[-1].name = text
        elif name == "Val" and text:
            self._add(self._open[-1].name, text)
        elif name in _GROUPS and "idle" in closed.values:
            self._add_channel(closed.values)

    def descriptor(self) -> ScanrDescriptor:
        """Give all that was read."""
        values = self._values
        rows, columns = self._count("rows/well"), self._count("columns/well")
        pairs = zip(self._positions[::2], self._positions[1::2], strict=False)
        return ScanrDescriptor(
            plate=values.get("plate name"),
            rows=self._count("Rows"),
            columns=self._count("Columns"),
            wells=dict(self._numbered_wells()),
            channels=self._channels,
            positions=list(pairs),
            grid=None if rows is None or columns is None else (rows, columns),
            slices=self._count("# slices"),
            tpoints=self._count("timeloop real"),
            z_step_um=number(values.get("slices distance")) or None,
            pixel_size_um=number(values.get("conversion factor um/pixel")) or None,
        )

    def _add(self, name: str, text: str) -> None:
        groups = [element.name for element in self._open if element.tag in _GROUPS]
        if _WELLS in groups:
            self._wells.append(text)
        elif _POSITIONS in groups:
            self._positions.append(self._position(text))
        elif name in ("Rows", "Columns"):
            if _PLATE in groups:
                self._values[name] = text
        else:
            self._values[name] = text
            group = next((one for one in reversed(self._open) if one.tag in _GROUPS), None)
            if group is not None:
                group.values[name] = text

    def _add_channel(self, values: Mapping[str, str]) -> None:
        name = values.get("name")
        names = {channel.name for channel in self._channels}
        if name is None or name == _AUTOFOCUS or name in names or values["idle"] != "0":
            return
        self._channels.append(ScanrChannel(name, number(values.get("exposure time"))))

    def _numbered_wells(self) -> Iterator[tuple[int, str | None]]:
        """Give the wells; a label follows the number that it belongs to."""
        last: int | None = None
        for text in self._wells:
            if text.isdecimal():
                if last is not None:
                    yield last, None
                last = self._bounded(_WELLS, text)
            elif last is not None:
                yield last, text
                last = None
        if last is not None:
            yield last, None

    def _position(self, text: str) -> float:
        position = number(text)
        if position is None:
            # Without it, all that follow would be taken for those of other sites.
            raise RegistrationError(
                f"{self._path}: a position in {_POSITIONS!r} is {text!r}: expected a number; copy "
                "the file again from the microscope"
            )
        return position

    def _count(self, name: str) -> int | None:
        text = self._values.get(name)
        return None if text is None else self._bounded(name, text)

    def _bounded(self, name: str, text: str) -> int:
        value = number(text)
        if value is None or value != int(value) or not 0 <= value <= _LARGEST_COUNT:
            raise RegistrationError(
                f"{self._path}: {name!r} is {text!r}: expected a whole number from 0 to "
                f"{_LARGEST_COUNT}; copy the file again from the microscope"
            )
        return int(value)
