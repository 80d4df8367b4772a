"""A plate as Micro-Manager writes it: one file per plane, a folder with metadata per position."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import tifffile

from imextract.simulation.faults import Faults, choose_faulty, cut_short, refuse_faults
from imextract.simulation.layout import PlaneKey, PlateLayout, well_position
from imextract.simulation.pixels import expected_plane

__all__ = ["write_micromanager_1_plate", "write_micromanager_plate"]

_FAULTS = ("absent", "truncated", "duplicated")
_PIXEL_UM = 0.325
_ZSTEP_UM = 1.5
_INTERVAL_MS = 60_000


def write_micromanager_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate as version 2 does; give the metadata of its first position."""
    return _write(folder, layout, faults, version=2)


def write_micromanager_1_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate as version 1.4 does; give the metadata of its first position."""
    return _write(folder, layout, faults, version=1)


def _write(folder: Path, layout: PlateLayout, faults: Faults, version: int) -> Path:
    refuse_faults("micromanager", faults, *_FAULTS)
    faulty = choose_faulty(layout, faults)
    single = replace(layout, channels=1, zplanes=1, tpoints=1)
    positions = [(key.well, key.site) for key in single.plane_keys()]
    keys = list(layout.plane_keys())
    per_site = len(keys) // len(positions)
    entries = []
    for position, (well, site) in enumerate(positions):
        own = keys[position * per_site : (position + 1) * per_site]
        label = _label(well, site)
        (folder / label).mkdir()
        for key in own:
            if not faulty.is_written(key):
                continue
            path = folder / label / _name(layout, key, position, version)
            tifffile.imwrite(path, expected_plane(layout, key), metadata=None)
            if key in faulty.truncated:
                cut_short(path)
            if key in faulty.duplicated:
                # As a folder into which the files of two programs were copied.
                twin = _name(layout, key, position, 3 - version)
                (folder / label / twin).write_bytes(path.read_bytes())
        written = [key for key in own if key not in faulty.absent]
        entries.append(folder / label / "metadata.txt")
        text = json.dumps(_metadata(layout, positions, position, written, version), indent=2)
        entries[-1].write_text(text, "utf-8")
    return entries[0]


def _label(well: str, site: int) -> str:
    return f"{well}-Site_{site}"


def _name(layout: PlateLayout, key: PlaneKey, position: int, version: int) -> str:
    if version == 1:
        return f"img_{key.tpoint:09d}_{layout.channel_names[key.channel]}_{key.zplane:03d}.tif"
    return (
        f"img_channel{key.channel:03d}_position{position:03d}_time{key.tpoint:09d}"
        f"_z{key.zplane:03d}.tif"
    )


def _metadata(
    layout: PlateLayout,
    positions: list[tuple[str, int]],
    position: int,
    keys: list[PlaneKey],
    version: int,
) -> dict[str, Any]:
    label = _label(*positions[position])
    told: dict[str, Any] = {"Summary": _summary(layout, positions, version)}
    for key in keys:
        name = _name(layout, key, position, version)
        indices = {
            "ChannelIndex": key.channel,
            "SliceIndex": key.zplane,
            "FrameIndex": key.tpoint,
            "PositionIndex": position,
        }
        facts = _facts(layout, key)
        if version == 1:
            frame = f"FrameKey-{key.tpoint}-{key.channel}-{key.zplane}"
            told[frame] = {**indices, **facts, "FileName": name, "PositionName": label}
        else:
            told[f"Coords-{label}/{name}"] = indices
            told[f"Metadata-{label}/{name}"] = facts
    return told


def _summary(layout: PlateLayout, positions: list[tuple[str, int]], version: int) -> dict[str, Any]:
    across = math.ceil(math.sqrt(layout.sites))
    stages = [
        {
            "Label": _label(well, site),
            "GridRow" if version == 2 else "GridRowIndex": site // across,
            "GridCol" if version == 2 else "GridColumnIndex": site % across,
        }
        for well, site in positions
    ]
    return {
        "Prefix": layout.plate,
        "MicroManagerVersion": "2.0.3" if version == 2 else "1.4.23",
        "ChNames": list(layout.channel_names),
        "Channels": layout.channels,
        "Slices": layout.zplanes,
        "Frames": layout.tpoints,
        "Positions": len(positions),
        "StagePositions" if version == 2 else "InitialPositionList": stages,
        "PixelType": "GRAY16",
        "PixelSize_um": _PIXEL_UM,
        "z-step_um": _ZSTEP_UM,
    }


def _facts(layout: PlateLayout, key: PlaneKey) -> dict[str, Any]:
    y, x = divmod(key.site, math.ceil(math.sqrt(layout.sites)))
    row, column = well_position(key.well)
    return {
        "XPositionUm": column * 9000 + x * layout.width * _PIXEL_UM,
        "YPositionUm": row * 9000 + y * layout.height * _PIXEL_UM,
        "ZPositionUm": key.zplane * _ZSTEP_UM,
        "ElapsedTime-ms": key.tpoint * _INTERVAL_MS,
        "Exposure-ms": 20,
        "TIObjectiveTurret-Label": "Plan Apo 20x/0.75",
        "PixelSizeUm": _PIXEL_UM,
    }
