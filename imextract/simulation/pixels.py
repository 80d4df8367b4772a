"""The pixels of a simulated plate: cells, lettering, and a camera's noise.

Everything follows from the layout and the plane's key, so that a test can make
any plane again. The first pixels of a plane say which it is, for programs.
"""

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from imextract.simulation.layout import PlaneKey, PlateLayout, well_name, well_position
from imextract.simulation.lettering import render_lines

__all__ = ["expected_plane", "read_stamp"]

Signal: TypeAlias = NDArray[np.float32]

_MAGIC = (0x1DE, 0xA7A)
# A scientific CMOS camera of 16 bits: 0.46 electrons a count, black level in
# counts, noise of reading and stray light in electrons. Of its noise follows how
# small planes become and what compressing them costs, which is as of real ones.
_SATURATION = 65535
_COUNTS_PER_ELECTRON = 1 / 0.46
_BLACK_LEVEL = 100.0
_READ_NOISE = 1.6
_BACKGROUND = 100.0
_INK = 7200.0
_FALL_OFF = 0.45
_CELLS = 40


@dataclass(frozen=True, slots=True)
class _Stain:
    """What a channel shows of a cell, in units of the nucleus' radius."""

    size: float
    electrons: float
    spots: int
    spread: float


# Nuclei, cell bodies, speckles around the nucleus; further channels repeat them.
_STAINS = (_Stain(1.0, 3600.0, 1, 0.0), _Stain(2.4, 1400.0, 1, 0.2), _Stain(0.25, 5600.0, 5, 1.4))


def expected_plane(layout: PlateLayout, key: PlaneKey) -> NDArray[np.uint16]:
    """Make the pixels of a plane, the same for the same layout and key."""
    signal = _cells(layout, key)
    ink = render_lines(_lettering(layout, key), layout.height, layout.width)
    lettered = signal[: ink.shape[0], : ink.shape[1]]
    lettered[ink] = _INK
    signal *= _illumination(layout.height, layout.width)
    pixels = _photograph(signal, _generator(layout, key, "noise"))
    stamp = _stamp(layout, key)
    pixels[0, : len(stamp)] = stamp
    return pixels


def read_stamp(pixels: NDArray[np.generic]) -> PlaneKey | None:
    """Read which plane this is; None if it is none of ours."""
    first = [int(value) for value in pixels[0, :8]]
    if tuple(first[:2]) != _MAGIC:
        return None
    row, column, site, channel, tpoint, zplane = first[2:]
    return PlaneKey(well_name(row, column), site, channel, tpoint, zplane)


def _stamp(layout: PlateLayout, key: PlaneKey) -> tuple[int, ...]:
    place = well_position(key.well)
    return (*_MAGIC, *place, key.site, key.channel, key.tpoint, key.zplane, layout.seed & 0xFFF)


def _lettering(layout: PlateLayout, key: PlaneKey) -> tuple[str, ...]:
    return (
        f"WELL {key.well} SITE {key.site}",
        f"C{key.channel} {layout.channel_names[key.channel].upper()}",
        f"Z{key.zplane} T{key.tpoint}",
    )


def _generator(layout: PlateLayout, key: PlaneKey, purpose: str) -> np.random.Generator:
    # Cells are the same whatever the channel, focus and time; noise never is.
    variable = (key.channel, key.tpoint, key.zplane) if purpose == "noise" else ()
    seeds = [layout.seed, *well_position(key.well), key.site, *variable]
    return np.random.Generator(np.random.SFC64(seeds))


def _cells(layout: PlateLayout, key: PlaneKey) -> Signal:
    generator = _generator(layout, key, "cells")
    stain = _STAINS[key.channel % len(_STAINS)]
    radius = max(layout.height, layout.width) / 40
    shape = np.array([layout.height, layout.width])
    centres = generator.random((_CELLS, 2)) * shape
    centres += key.tpoint * radius * 0.3 * generator.uniform(-1, 1, (_CELLS, 2))
    brightness = generator.uniform(0.4, 1.2, _CELLS) * stain.electrons / (1 + 0.05 * key.tpoint)
    scatter = generator.uniform(-1, 1, (_CELLS, stain.spots, 2)) * stain.spread * radius
    slant = generator.uniform(-0.6, 0.6, _CELLS)
    blur = 1 + 0.2 * abs(key.zplane - (layout.zplanes - 1) / 2)
    signal = np.full((layout.height, layout.width), _BACKGROUND, np.float32)
    for cell in range(_CELLS):
        for place in (centres[cell] + scatter[cell]) % shape:
            _add_blob(
                signal, place, radius * stain.size * blur, brightness[cell] / blur**2, slant[cell]
            )
    return signal


def _add_blob(
    signal: Signal, centre: NDArray[np.float64], radius: float, electrons: float, slant: float
) -> None:
    reach = 1.5 * radius
    (top, left), (bottom, right) = np.maximum(centre - reach, 0), centre + reach + 1
    patch = signal[int(top) : int(bottom), int(left) : int(right)]
    y = (np.arange(int(top), int(top) + patch.shape[0], dtype=np.float32) - centre[0])[
        :, np.newaxis
    ]
    x = np.arange(int(left), int(left) + patch.shape[1], dtype=np.float32) - centre[1]
    distance = (np.square(x + slant * y) + np.square(y)) / radius**2
    patch += electrons * np.clip(2.5 * (1 - distance), 0, 1)


@functools.lru_cache(maxsize=4)
def _illumination(height: int, width: int) -> Signal:
    """Brightness of the lamp: one in the middle, less towards the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    brightness: Signal = 1 - _FALL_OFF * (np.square(x) + np.square(y)) / 2
    brightness.flags.writeable = False
    return brightness


def _photograph(electrons: Signal, generator: np.random.Generator) -> NDArray[np.uint16]:
    """Add what a camera adds: shot noise, read noise, gain, black level, 16 bits."""
    # Dozens of electrons: Poisson's distribution is as good as normal.
    noise = generator.standard_normal(electrons.shape, np.float32)
    noise *= np.sqrt(electrons + np.float32(_READ_NOISE**2))
    noise += electrons
    noise *= np.float32(_COUNTS_PER_ELECTRON)
    noise += np.float32(_BLACK_LEVEL + 0.5)
    return np.clip(noise, 0, _SATURATION, out=noise).astype(np.uint16)
