"""Names of objectives, as far as a microscope tells them."""

from collections.abc import Iterable

from imextract.registration.units import number

__all__ = ["objective_name", "objective_names"]


def objective_name(
    name: str | None = None, magnification: str | None = None, aperture: str | None = None
) -> str | None:
    """Name an objective by what is told of it: its own name, else as in "20x/0.8".

    Parameters
    ----------
    magnification, aperture
        Numbers as the metadata have them; what is none is left out.
    """
    if name and name.strip():
        return name.strip()
    times, wide = number(magnification), number(aperture)
    if times is None or times <= 0:
        return None
    return f"{times:g}x/{wide:g}" if wide is not None and wide > 0 else f"{times:g}x"


def objective_names(names: Iterable[str | None]) -> str | None:
    """Put the objectives of an acquisition, mostly one, into one text; None if none is told."""
    return "; ".join(dict.fromkeys(name for name in names if name)) or None
