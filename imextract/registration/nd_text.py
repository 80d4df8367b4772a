"""The text of MetaMorph's and VisiView's `.nd` files: what an experiment was meant to take."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imextract.errors import SourceFileError

__all__ = ["NdExperiment", "Wave", "decode_nd", "is_nd", "parse_nd"]

# One entry is `"Key", value`; a description may go on for lines that are none.
_ENTRY = re.compile(r'\s*"([A-Za-z]+)([0-9]*)"\s*,\s*(.*?)\s*')
_KNOWN_VERSIONS = ("1.0", "2.0")
# More than any stage, filter wheel or disk has: counts that a damaged file made up.
_MOST = {"NStagePositions": 100_000, "NWavelengths": 1000, "NTimePoints": 1_000_000}
_MOST |= {"NZSteps": 100_000}
_MOST_PLANES = 20_000_000


@dataclass(frozen=True, slots=True)
class Wave:
    """A wavelength: its name, and how many z-steps are taken with it."""

    name: str | None
    zplanes: int


@dataclass(frozen=True, slots=True)
class NdExperiment:
    """What an `.nd` file declares.

    Attributes
    ----------
    stages
        Names of the stage positions in order; empty where the stage stood still.
    waves
        The wavelengths in order; a single nameless one where there are none.
    has_zplanes
        Whether a focus series was taken.
    zstep_um
        Distance of its planes.
    warnings
        What a person should know of the file.
    """

    stages: tuple[str, ...]
    waves: tuple[Wave, ...]
    tpoints: int
    has_zplanes: bool
    zstep_um: float | None
    description: str
    warnings: tuple[str, ...] = ()


def decode_nd(content: bytes) -> str:
    """Decode the text of an `.nd` file: UTF-8, or the code page of Western Windows."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def is_nd(text: str) -> bool:
    """Tell whether a text begins as these files do; other programs use the suffix too."""
    return text.lstrip().startswith('"NDInfoFile"')


def parse_nd(text: str) -> NdExperiment:
    """Read what an `.nd` file declares.

    Raises
    ------
    SourceFileError
        If a count is missing, no number, or absurd.
    """
    entries = {f"{key}{number}": value for key, number, value in _entries(text)}
    stages = _stages(entries) if _is_true(entries, "DoStage") else ()
    has_zplanes = _is_true(entries, "DoZSeries")
    waves = _waves(entries, _count(entries, "NZSteps") if has_zplanes else 1)
    tpoints = _count(entries, "NTimePoints") if _is_true(entries, "DoTimelapse") else 1
    planes = max(len(stages), 1) * tpoints * sum(wave.zplanes for wave in waves)
    if planes > _MOST_PLANES:
        raise SourceFileError(
            f"declares {planes} planes, expected {_MOST_PLANES} at most; correct its counts"
        )
    return NdExperiment(
        stages=stages,
        waves=waves,
        tpoints=tpoints,
        has_zplanes=has_zplanes,
        zstep_um=_length(entries.get("ZStepSize")) if has_zplanes else None,
        description=_unquoted(entries.get("Description", "")),
        warnings=tuple(_warnings(entries, text)),
    )


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.splitlines():
        match = _ENTRY.fullmatch(line)
        if match:
            yield match[1], match[2], match[3]


def _warnings(entries: Mapping[str, str], text: str) -> Iterator[str]:
    version = entries.get("NDInfoFile", "").removeprefix("Version").strip()
    if version not in _KNOWN_VERSIONS:
        known = " and ".join(_KNOWN_VERSIONS)
        yield f"is of version {version!r}, known are {known}: check that its planes are right"
    if '"EndFile"' not in text:
        yield "ends without its last line, and may be cut short: check that its planes are all"


def _waves(entries: Mapping[str, str], zplanes: int) -> tuple[Wave, ...]:
    if not _is_true(entries, "DoWave"):
        return (Wave(None, zplanes),)
    return tuple(
        Wave(
            _unquoted(entries.get(f"WaveName{number}", "")) or None,
            zplanes if _is_true(entries, f"WaveDoZ{number}", default=True) else 1,
        )
        for number in range(1, _count(entries, "NWavelengths") + 1)
    )


def _stages(entries: Mapping[str, str]) -> tuple[str, ...]:
    numbers = range(1, _count(entries, "NStagePositions") + 1)
    # Older programs write "Position1" for "Stage1".
    return tuple(
        _unquoted(entries.get(f"Stage{number}", entries.get(f"Position{number}", "")))
        for number in numbers
    )


def _is_true(entries: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    value = entries.get(key)
    return default if value is None else _unquoted(value).upper() == "TRUE"


def _count(entries: Mapping[str, str], key: str) -> int:
    text = _unquoted(entries.get(key, ""))
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= _MOST[key]:
        raise SourceFileError(
            f"{key} is {text!r}, expected a number from 1 to {_MOST[key]}; correct the file"
        )
    return int(text)


def _length(text: str | None) -> float | None:
    try:
        length = float(_unquoted(text or "").replace(",", "."))
    except ValueError:
        return None
    return length if 0 < length < float("inf") else None


def _unquoted(text: str) -> str:
    return text.strip().removeprefix('"').removesuffix('"').strip()
