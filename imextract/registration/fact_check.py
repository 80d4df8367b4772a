"""Whether what the metadata tell of planes and channels can be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imextract.registration.manifest import ChannelInfo, ManifestRow, Problem

__all__ = ["FactCheck", "impossible_wavelengths"]

_POSITIVE = ("pixel_size_x_um", "pixel_size_y_um", "pixel_size_z_um")
_NOT_NEGATIVE = ("exposure_ms",)
_WAVELENGTHS = ("excitation_nm", "emission_nm")


@dataclass(slots=True)
class _Impossible:
    first: ManifestRow
    value: float
    count: int = 1


class FactCheck:
    """Gathers sizes of pixels and exposure times that cannot be."""

    def __init__(self) -> None:
        self._found: dict[str, _Impossible] = {}

    def add(self, row: ManifestRow) -> None:
        """Take a plane."""
        for name in _POSITIVE:
            value = getattr(row, name)
            if value is not None and not value > 0:
                self._note(name, row, value)
        for name in _NOT_NEGATIVE:
            value = getattr(row, name)
            if value is not None and not value >= 0:
                self._note(name, row, value)

    def _note(self, name: str, row: ManifestRow, value: float) -> None:
        if name in self._found:
            self._found[name].count += 1
        else:
            self._found[name] = _Impossible(row, value)

    def problems(self) -> Iterator[Problem]:
        """Tell of each kind how many planes have it."""
        for name, found in self._found.items():
            text = (
                f"the metadata tell {name} {found.value} of {found.count} planes, such as one of "
                f"this file, which cannot be: kept as they tell it; correct it in a manifest"
            )
            yield Problem("warning", found.first.source_file, text)


def impossible_wavelengths(channels: Iterable[ChannelInfo]) -> Iterator[Problem]:
    """Name channels of wavelengths that cannot be."""
    for channel in channels:
        for name in _WAVELENGTHS:
            value = getattr(channel, name)
            if value is not None and not value > 0:
                text = (
                    f"the metadata tell {name} {value} of channel {channel.name}, which cannot be: "
                    "kept as they tell it; correct it in a manifest"
                )
                yield Problem("warning", None, text)
