"""Units of OME-XML, converted to those of the manifest."""

import math

__all__ = ["length_um", "number", "time_s"]

_UM_PER_UNIT = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "km": 1e9,
    "thou": 25.4,
    "in": 25_400.0,
    "ft": 304_800.0,
    "pt": 25_400.0 / 72,
}
_S_PER_UNIT = {
    "ns": 1e-9,
    "µs": 1e-6,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}


def number(text: str | None) -> float | None:
    """Read a finite number; None for what is none."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def length_um(text: str | None, unit: str) -> float | None:
    """Convert a length to µm; None where the unit is no length (pixel, reference frame)."""
    return _convert(text, _UM_PER_UNIT.get(_normal(unit)))


def time_s(text: str | None, unit: str) -> float | None:
    """Convert a time to seconds."""
    return _convert(text, _S_PER_UNIT.get(_normal(unit)))


def _normal(unit: str) -> str:
    # The micro sign and the Greek letter look alike.
    return unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}").replace(
        "\N{ANGSTROM SIGN}", "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}"
    )


def _convert(text: str | None, factor: float | None) -> float | None:
    value = number(text)
    return None if value is None or factor is None else value * factor
