"""What Micro-Manager writes of an acquisition: its summary, and the facts of each plane.

Versions 1.4 and 2.0 spell the same things differently; all that is read is
looked up under each of its names.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imextract.errors import SourceFileError
from imextract.registration.objectives import objective_name
from imextract.registration.wells import parse_well_name, well_name

__all__ = ["Coordinates", "Facts", "Summary", "coordinates", "facts", "read_entries", "summary"]

_CHANNEL, _ZPLANE = ("ChannelIndex", "channel"), ("SliceIndex", "z")
_TPOINT, _POSITION = ("FrameIndex", "time"), ("PositionIndex", "position")
_MOST_PLANES = 20_000_000
_MOST_OF_ONE = 1_000_000
_MOST_CHANNELS = 1000
_OBJECTIVE = re.compile("objective.*-label$", re.IGNORECASE)
# As the plugin for plates labels positions: "B07-Site_3".
_WELL_LABEL = re.compile(r"([A-Za-z]{1,2}[0-9]{1,2})-Site_([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Zero-based indices of a plane; the position is None where it is not told."""

    position: int | None
    channel: int
    zplane: int
    tpoint: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of one plane; None where nothing is."""

    pixel_size_um: float | None = None
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    time_s: float | None = None
    exposure_ms: float | None = None
    objective: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What an acquisition was meant to take.

    Attributes
    ----------
    labels
        Names of the positions in order, as many as are told.
    cells
        Grid position (row, column) of each, None where there is none.
    identity
        What is the same for all files of an acquisition.
    """

    channel_names: tuple[str, ...]
    channels: int
    zplanes: int
    tpoints: int
    positions: int
    labels: tuple[str, ...]
    cells: tuple[tuple[int, int] | None, ...]
    pixel_size_um: float | None
    zstep_um: float | None
    pixel_type: str
    identity: str

    def wells(self) -> list[tuple[str, int]] | None:
        """Give well and site number of each position; None if not all labels tell them."""
        matches = [_WELL_LABEL.fullmatch(label) for label in self.labels]
        if not matches or len(matches) < self.positions:
            return None
        try:
            return (
                [
                    (well_name(*parse_well_name(match[1])), int(match[2]))
                    for match in matches
                    if match is not None
                ]
                if all(matches)
                else None
            )
        except ValueError:
            return None


def read_entries(text: str) -> tuple[dict[str, Any], bool]:
    """Read a JSON object entry by entry, as far as it goes.

    Returns
    -------
    entries, is_whole
        An acquisition that was aborted leaves the file without its end.
    """
    entries: dict[str, Any] = {}
    try:
        # Not a comprehension: what was read before an error is kept.
        for key, value in _entries(text):
            entries[key] = value  # noqa: PERF403
    except (ValueError, RecursionError):
        return entries, False
    return entries, True


def _entries(text: str) -> Iterator[tuple[str, Any]]:
    decoder = json.JSONDecoder()
    at = _expect(text, 0, "{")
    while True:
        at = _skip_space(text, at)
        if text[at : at + 1] == "}":
            return
        key, at = decoder.raw_decode(text, at)
        value, at = decoder.raw_decode(text, _skip_space(text, _expect(text, at, ":")))
        yield str(key), value
        at = _skip_space(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise ValueError("expected a comma")


def _skip_space(text: str, at: int) -> int:
    match = re.compile(r"\s*").match(text, at)
    return at if match is None else match.end()


def _expect(text: str, at: int, wanted: str) -> int:
    at = _skip_space(text, at)
    if text[at : at + 1] != wanted:
        raise ValueError(f"expected {wanted}")
    return at + 1


def coordinates(entry: object) -> Coordinates | None:
    """Read the indices of a plane; None if they are not all told."""
    if not isinstance(entry, Mapping):
        return None
    position, channel, zplane, tpoint = (
        _index(entry, names) for names in (_POSITION, _CHANNEL, _ZPLANE, _TPOINT)
    )
    if channel is None or channel >= _MOST_CHANNELS or zplane is None or tpoint is None:
        return None
    return Coordinates(position, channel, zplane, tpoint)


def facts(entry: object) -> Facts:
    """Read what is told of a plane."""
    if not isinstance(entry, Mapping):
        return Facts()
    size, elapsed = _number(entry, "PixelSizeUm"), _number(entry, "ElapsedTime-ms")
    return Facts(
        pixel_size_um=size if size is not None and size > 0 else None,
        x_um=_number(entry, "XPositionUm"),
        y_um=_number(entry, "YPositionUm"),
        z_um=_number(entry, "ZPositionUm"),
        time_s=None if elapsed is None else elapsed / 1000,
        exposure_ms=_number(entry, "Exposure-ms"),
        objective=_objective(entry),
    )


def _objective(entry: Mapping[str, object]) -> str | None:
    """Give the label of the turret, which every installation calls otherwise."""
    labels = (value for key, value in entry.items() if _OBJECTIVE.search(key))
    return next((objective_name(str(label)) for label in labels), None)


def summary(entry: object) -> Summary | None:
    """Read the summary of an acquisition; None if there is none.

    Raises
    ------
    SourceFileError
        If its counts are absurd.
    """
    if not isinstance(entry, Mapping) or not {"Channels", "ChNames", "Slices"} & entry.keys():
        return None
    meant = entry.get("IntendedDimensions")
    sizes = {
        name: _count(entry, name, meant.get(axis) if isinstance(meant, Mapping) else None)
        for name, axis in (
            ("Channels", "channel"),
            ("Slices", "z"),
            ("Frames", "time"),
            ("Positions", "position"),
        )
    }
    if math.prod(sizes.values()) > _MOST_PLANES:
        raise SourceFileError(
            f"declares {sizes}, expected at most {_MOST_PLANES} planes; correct the metadata"
        )
    names = entry.get("ChNames")
    stages = _listed(entry, "StagePositions", "InitialPositionList")
    size, zstep = _number(entry, "PixelSize_um"), _number(entry, "z-step_um")
    return Summary(
        channel_names=tuple(map(str, names)) if isinstance(names, Sequence) else (),
        channels=sizes["Channels"],
        zplanes=sizes["Slices"],
        tpoints=sizes["Frames"],
        positions=sizes["Positions"],
        labels=tuple(str(stage.get("Label", "")) for stage in stages),
        cells=tuple(_cell(stage) for stage in stages),
        pixel_size_um=size if size is not None and size > 0 else None,
        zstep_um=None if not zstep else abs(zstep),
        pixel_type=str(entry.get("PixelType", "")),
        identity=str(entry.get("UUID") or entry.get("Prefix") or ""),
    )


def _cell(stage: Mapping[str, object]) -> tuple[int, int] | None:
    row = _index(stage, ("GridRowIndex", "GridRow"))
    column = _index(stage, ("GridColumnIndex", "GridCol"))
    return None if row is None or column is None else (row, column)


def _listed(entry: Mapping[str, object], *names: str) -> list[Mapping[str, object]]:
    for name in names:
        values = entry.get(name)
        if isinstance(values, list) and all(isinstance(value, Mapping) for value in values):
            return values
    return []


def _count(entry: Mapping[str, object], name: str, meant: object) -> int:
    value = entry.get(name, meant)
    if value is None or value == 0:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_OF_ONE:
        raise SourceFileError(
            f"{name} is {value!r}, expected a number from 1 to {_MOST_OF_ONE}; correct the metadata"
        )
    return value


def _index(entry: Mapping[str, object], names: Sequence[str]) -> int | None:
    for name in names:
        value = entry.get(name)
        is_index = isinstance(value, int) and not isinstance(value, bool)
        if is_index and isinstance(value, int) and 0 <= value < _MOST_OF_ONE:
            return value
    return None


def _number(entry: Mapping[str, object], name: str) -> float | None:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
