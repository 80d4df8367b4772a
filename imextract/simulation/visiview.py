"""Plates as VisiView and MetaMorph write them: an `.nd` file and a stack per site and channel.

A fault of a plane is one of its stack, with all planes of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from imextract.simulation.faults import (
    Faults,
    FaultyPlanes,
    choose_faulty,
    cut_short,
    refuse_faults,
    thumbnail,
)
from imextract.simulation.layout import PlaneKey, PlateLayout, well_position
from imextract.simulation.pixels import expected_plane
from imextract.simulation.stk import write_stk

__all__ = ["write_metamorph_plate", "write_visiview_plate"]

_FAULTS = ("absent", "truncated", "duplicated", "thumbnails")
_PIXEL_UM = 0.325
_ZSTEP_UM = 1.5


def write_visiview_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate whose stage positions name wells and sites; give its `.nd` file."""
    refuse_faults("visiview", faults, *_FAULTS)
    return _Plate(folder, layout, names_wells=True).write(faults)


def write_metamorph_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate whose stage positions tell no well; give its `.nd` file."""
    refuse_faults("metamorph", faults, *_FAULTS)
    return _Plate(folder, layout, names_wells=False).write(faults)


@dataclass(frozen=True, slots=True)
class _Plate:
    folder: Path
    layout: PlateLayout
    names_wells: bool

    def write(self, faults: Faults) -> Path:
        faulty = choose_faulty(replace(self.layout, zplanes=1), faults)
        stages = self._stages()
        for key in replace(self.layout, zplanes=1).plane_keys():
            name = self._name(stages.index((key.well, key.site)), key)
            self._write_image(name, key, faulty)
            if faults.thumbnails:
                small = thumbnail(self._planes(key)[0])
                tifffile.imwrite(self.folder / f"{self.layout.plate}_thumb{name}.tif", small)
        entry = self.folder / f"{self.layout.plate}.nd"
        entry.write_text("\n".join(self._lines(stages)) + "\n", "utf-8", newline="\r\n")
        return entry

    def _stages(self) -> list[tuple[str, int]]:
        keys = replace(self.layout, zplanes=1, channels=1, tpoints=1).plane_keys()
        return [(key.well, key.site) for key in keys]

    def _name(self, stage: int, key: PlaneKey) -> str:
        """Give what follows the name of the plate; a number that can only be one is left out."""
        wave = self.layout.channel_names[key.channel].replace("_", "-").replace("/", "-")
        parts = [
            f"_w{key.channel + 1}{wave}",
            f"_s{stage + 1}" if len(self._stages()) > 1 else "",
            f"_t{key.tpoint + 1}" if self.layout.tpoints > 1 else "",
        ]
        return "".join(parts)

    def _planes(self, key: PlaneKey) -> list[NDArray[np.uint16]]:
        zplanes = range(self.layout.zplanes)
        return [expected_plane(self.layout, replace(key, zplane=zplane)) for zplane in zplanes]

    def _write_image(self, name: str, key: PlaneKey, faulty: FaultyPlanes) -> None:
        if not faulty.is_written(key):
            return
        path = self.folder / f"{self.layout.plate}{name}.stk"
        planes = self._planes(key)
        write_stk(path, planes, pixel_size_um=_PIXEL_UM, zstep_um=_ZSTEP_UM)
        if key in faulty.truncated:
            cut_short(path)
        if key in faulty.duplicated:
            tifffile.imwrite(
                path.with_suffix(".tif"), np.stack(planes), photometric="minisblack", metadata=None
            )

    def _lines(self, stages: list[tuple[str, int]]) -> Iterator[str]:
        layout = self.layout
        program = "VisiView" if self.names_wells else "MetaMorph"
        yield '"NDInfoFile", Version 1.0'
        yield f'"Description", {program}: a simulated plate'
        yield '"StartTime1", 20260105 09:00:00.000'
        yield f'"DoTimelapse", {_truth(layout.tpoints > 1)}'
        if layout.tpoints > 1:
            yield f'"NTimePoints", {layout.tpoints}'
        has_stages = self.names_wells or len(stages) > 1
        yield f'"DoStage", {_truth(has_stages)}'
        if has_stages:
            yield f'"NStagePositions", {len(stages)}'
        for number, (well, site) in enumerate(stages, 1):
            yield f'"Stage{number}", "{self._stage_name(well, site)}"'
        yield '"DoWave", TRUE'
        yield f'"NWavelengths", {layout.channels}'
        for number, name in enumerate(layout.channel_names, 1):
            yield f'"WaveName{number}", "{name}"'
            yield f'"WaveDoZ{number}", {_truth(layout.zplanes > 1)}'
        yield f'"DoZSeries", {_truth(layout.zplanes > 1)}'
        if layout.zplanes > 1:
            yield f'"NZSteps", {layout.zplanes}'
            # As computers set to German write it.
            yield f'"ZStepSize", {str(_ZSTEP_UM).replace(".", ",")}'
        yield '"WaveInFileName", TRUE'
        yield '"NEvents", 0'
        yield '"EndFile"'

    def _stage_name(self, well: str, site: int) -> str:
        row, column = well_position(well)
        letters = well.rstrip("0123456789")
        if self.names_wells:
            return f"row:{letters},column:{column + 1},site:{site + 1}"
        return f"Position {row}.{column}.{site}"


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"
