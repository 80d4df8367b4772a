"""What goes wrong with real plates: files lost, cut short, written twice."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imextract.errors import ConfigError
from imextract.simulation.layout import PlaneKey, PlateLayout

__all__ = ["Faults", "FaultyPlanes", "choose_faulty", "cut_short", "refuse_faults", "thumbnail"]

_THUMBNAIL_STEP = 8


@dataclass(frozen=True, slots=True)
class Faults:
    """How much is wrong with a simulated plate; by default nothing.

    Attributes
    ----------
    absent
        Planes that the metadata declare, but that are not on disk.
    truncated
        Planes whose file is whole in its header, but cut short in its pixels.
    duplicated
        Planes that are there twice, in two files.
    thumbnails
        Whether the small pictures that some microscopes write are there too.
    errors
        Planes that the microscope itself recorded as failed, and did not write.
    """

    absent: int = 0
    truncated: int = 0
    duplicated: int = 0
    thumbnails: bool = False
    errors: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise ConfigError(
                    f"simulated faults: {field.name} is {value}, expected a count from 0; "
                    f"give another number of {field.name}"
                )


@dataclass(frozen=True, slots=True)
class FaultyPlanes:
    """Which planes are how faulty; none is in two of the sets."""

    absent: frozenset[PlaneKey] = frozenset()
    truncated: frozenset[PlaneKey] = frozenset()
    duplicated: frozenset[PlaneKey] = frozenset()
    errors: frozenset[PlaneKey] = frozenset()

    def is_written(self, key: PlaneKey) -> bool:
        """Tell whether a plane has a file."""
        return key not in self.absent and key not in self.errors


def choose_faulty(layout: PlateLayout, faults: Faults) -> FaultyPlanes:
    """Choose the planes that are faulty, the same for the same layout and faults.

    Raises
    ------
    ConfigError
        If there are fewer planes than faults.
    """
    counts = [faults.absent, faults.truncated, faults.duplicated, faults.errors]
    if sum(counts) > layout.plane_count:
        raise ConfigError(
            f"simulated faults: {sum(counts)} planes faulty, but the plate has "
            f"{layout.plane_count} planes; give fewer faults or a larger plate"
        )
    if not any(counts):
        return FaultyPlanes()
    keys = list(layout.plane_keys())
    order = np.random.default_rng(layout.seed).permutation(len(keys))
    chosen = [keys[index] for index in order[: sum(counts)]]
    ends = np.cumsum(counts)
    parts = (chosen[end - count : end] for end, count in zip(ends, counts, strict=True))
    absent, truncated, duplicated, errors = map(frozenset, parts)
    return FaultyPlanes(absent, truncated, duplicated, errors)


def refuse_faults(microscope: str, faults: Faults, *known: str) -> None:
    """Refuse the faults that files of a microscope cannot have.

    Raises
    ------
    ConfigError
        If others than the known ones are asked for.
    """
    for field in fields(faults):
        if getattr(faults, field.name) and field.name not in known:
            raise ConfigError(
                f"microscope {microscope!r} cannot be simulated with {field.name}: expected "
                f"{', '.join(known)}; leave {field.name} out"
            )


def cut_short(path: Path) -> None:
    """Cut the last third off a file, as a copy that was interrupted does.

    A TIFF keeps its header where that is written before the pixels.
    """
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def thumbnail(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Make a small picture of a plane, for looking at."""
    return (pixels[::_THUMBNAIL_STEP, ::_THUMBNAIL_STEP] >> 4).astype(np.uint8)
