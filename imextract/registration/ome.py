"""What registration takes from OME-XML: plates, wells, images, channels, planes."""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = [
    "Ome",
    "OmeChannel",
    "OmeImage",
    "OmePlate",
    "OmePlateAcquisition",
    "OmeWell",
    "OmeWellSample",
    "PlaneFacts",
    "PlaneTable",
]


@dataclass(frozen=True, slots=True)
class OmeChannel:
    """A channel of an image; `samples` is 3 for an RGB channel."""

    name: str | None = None
    samples: int = 1
    excitation_nm: float | None = None
    emission_nm: float | None = None


@dataclass(frozen=True, slots=True)
class PlaneFacts:
    """What is told of one plane; None where nothing is."""

    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    time_stamp_s: float | None = None
    exposure_ms: float | None = None


class PlaneTable:
    """Facts of the planes of an image by (z, c, t), held compactly."""

    _WIDTH = 5
    # Memory is taken for so many planes at once, where any of them is told of: whatever
    # number of planes is declared, it is in proportion to the text.
    _BLOCK = 32
    # More than a file can hold: sizes that a damaged header made up.
    _MOST_PLANES = 20_000_000

    def __init__(self, sizes: tuple[int, int, int]) -> None:
        self._sizes = sizes if math.prod(sizes) <= self._MOST_PLANES else (0, 0, 0)
        self._blocks: dict[int, array[float]] = {}

    def put(self, z: int, c: int, t: int, facts: PlaneFacts) -> None:
        """Keep the facts of a plane; a plane outside the image is ignored."""
        index = self._index(z, c, t)
        if index is None:
            return
        number, place = divmod(index, self._BLOCK)
        block = self._blocks.get(number)
        if block is None:
            block = array("d", [float("nan")]) * (self._BLOCK * self._WIDTH)
            self._blocks[number] = block
        values = (
            facts.stage_x_um,
            facts.stage_y_um,
            facts.stage_z_um,
            facts.time_stamp_s,
            facts.exposure_ms,
        )
        for offset, value in enumerate(values):
            if value is not None:
                block[place * self._WIDTH + offset] = value

    def get(self, z: int, c: int, t: int) -> PlaneFacts:
        """Give the facts of a plane."""
        index = self._index(z, c, t)
        number, place = divmod(-1 if index is None else index, self._BLOCK)
        block = self._blocks.get(number)
        if block is None:
            return PlaneFacts()
        start = place * self._WIDTH
        # NaN, the mark of a missing value, is the one number unequal to itself.
        known = block[start : start + self._WIDTH]
        return PlaneFacts(*(value if value == value else None for value in known))

    def _index(self, z: int, c: int, t: int) -> int | None:
        size_z, size_c, size_t = self._sizes
        if not (0 <= z < size_z and 0 <= c < size_c and 0 <= t < size_t):
            return None
        return (t * size_c + c) * size_z + z


@dataclass(frozen=True, slots=True)
class OmeImage:
    """An image: one series of the file.

    `stage_position` is (x, y) in whatever unit the file gives, good for
    telling sites apart but not for measuring.
    """

    id: str
    name: str | None = None
    channels: tuple[OmeChannel, ...] = ()
    pixel_size_x_um: float | None = None
    pixel_size_y_um: float | None = None
    pixel_size_z_um: float | None = None
    stage_position: tuple[float, float] | None = None
    objective: str | None = None
    planes: PlaneTable = field(default_factory=lambda: PlaneTable((0, 0, 0)))


@dataclass(frozen=True, slots=True)
class OmeWellSample:
    """A field of a well, and the image taken of it."""

    id: str
    image_id: str | None
    index: int
    stage_position: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class OmeWell:
    """A well by its zero-based row and column."""

    row: int
    column: int
    samples: tuple[OmeWellSample, ...] = ()


@dataclass(frozen=True, slots=True)
class OmePlateAcquisition:
    """One run over a plate: which well samples it took."""

    name: str | None
    sample_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class OmePlate:
    """A plate with its wells."""

    name: str | None
    wells: tuple[OmeWell, ...] = ()
    acquisitions: tuple[OmePlateAcquisition, ...] = ()

    def has_images(self, image_ids: Iterable[str]) -> bool:
        """Tell whether any well holds one of these images."""
        wanted = set(image_ids)
        return any(sample.image_id in wanted for well in self.wells for sample in well.samples)


@dataclass(frozen=True, slots=True)
class Ome:
    """The images and plates of one data set; image i is series i."""

    images: tuple[OmeImage, ...] = ()
    plates: tuple[OmePlate, ...] = ()
