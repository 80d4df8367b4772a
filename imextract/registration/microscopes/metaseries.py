"""What MetaMorph and MetaXpress write into the description of their TIFFs."""

import html
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError
from imextract.readers.source import open_source
from imextract.registration.units import length_um, number, time_s

__all__ = ["Metaseries", "parse_metaseries", "read_metaseries"]

_READ = (
    "_IllumSetting_",
    "_MagSetting_",
    "Exposure Time",
    "Z Projection Method",
    "Z Step",
    "acquisition-time-local",
    "spatial-calibration-state",
    "spatial-calibration-units",
    "spatial-calibration-x",
    "spatial-calibration-y",
    "stage-position-x",
    "stage-position-y",
    "wavelength",
    "z-position",
)
# A pattern and no parser: of a hundred properties in each of a plate's files, few are read.
_PROPERTY = re.compile(f'prop id="({"|".join(_READ)})" type="[^"]*" value="([^"]*)"')
_QUANTITY = re.compile(r"\s*([-+0-9.eE]+)\s*([A-Za-zµμ]+)\s*")
_DESCRIPTION_TAG = 270
_LONGEST_DESCRIPTION = 1_000_000


@dataclass(frozen=True, slots=True)
class Metaseries:
    """What one plane's file tells of it; None where it tells nothing.

    Attributes
    ----------
    time_s
        Local time at which the plane was taken, in seconds; only differences
        of it mean anything.
    illumination
        The name of the channel's setting.
    is_projection
        The plane was computed from a stack, not taken.
    """

    illumination: str | None = None
    wavelength_nm: float | None = None
    exposure_ms: float | None = None
    pixel_size_x_um: float | None = None
    pixel_size_y_um: float | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    time_s: float | None = None
    objective: str | None = None
    is_projection: bool = False


def read_metaseries(path: Path) -> Metaseries:
    """Read a file's description, and nothing else of it.

    A file that is no TIFF or is damaged tells nothing: that it cannot be
    read is found where its pixels are planned.
    """
    try:
        with open_source(path) as stream:
            return parse_metaseries(_description(stream))
    except (SourceFileError, OSError, struct.error, OverflowError):
        return Metaseries()


def parse_metaseries(text: str) -> Metaseries:
    """Read the properties that a description lists."""
    told = dict(_PROPERTY.findall(text))
    if not told:
        return Metaseries()
    unit = html.unescape(told.get("spatial-calibration-units", "um"))
    is_calibrated = told.get("spatial-calibration-state", "on") == "on"
    wavelength = number(told.get("wavelength"))
    return Metaseries(
        illumination=html.unescape(told.get("_IllumSetting_", "")).strip() or None,
        wavelength_nm=wavelength if wavelength and wavelength > 0 else None,
        exposure_ms=_milliseconds(told.get("Exposure Time")),
        pixel_size_x_um=_size(told.get("spatial-calibration-x"), unit) if is_calibrated else None,
        pixel_size_y_um=_size(told.get("spatial-calibration-y"), unit) if is_calibrated else None,
        stage_x_um=number(told.get("stage-position-x")),
        stage_y_um=number(told.get("stage-position-y")),
        stage_z_um=number(told.get("z-position")),
        time_s=_seconds(told.get("acquisition-time-local")),
        objective=html.unescape(told.get("_MagSetting_", "")).strip() or None,
        # A plane of a stack that was projected as well tells its step.
        is_projection="Z Projection Method" in told and "Z Step" not in told,
    )


def _size(text: str | None, unit: str) -> float | None:
    size = length_um(text, unit)
    return size if size is not None and size > 0 else None


def _milliseconds(text: str | None) -> float | None:
    match = _QUANTITY.fullmatch(text or "")
    if match is None:
        return None
    seconds = time_s(match[1], {"sec": "s", "msec": "ms"}.get(match[2], match[2]))
    return None if seconds is None else round(seconds * 1000, 6)


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _description(stream: BinaryIO) -> str:
    """Give the description of the first image; empty where there is none."""
    head = stream.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return ""
    stream.seek(*struct.unpack(f"{order}I", head[4:]))
    (count,) = struct.unpack(f"{order}H", stream.read(2))
    for tag, kind, size, offset in struct.iter_unpack(f"{order}HHII", stream.read(12 * count)):
        if tag == _DESCRIPTION_TAG and kind in (2, 7) and 4 < size <= _LONGEST_DESCRIPTION:
            stream.seek(offset)
            return stream.read(size).decode("utf-8", "replace")
    return ""
