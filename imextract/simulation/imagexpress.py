"""A plate as an ImageXpress of Molecular Devices exports it (MetaXpress 6.7).

One TIFF per plane in folders of time points and z-steps, and an HTD file that
declares them; copies of it lie in every folder. Of a stack there is a
projection as well, in ZStep_0.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import quoteattr

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
from imextract.simulation.layout import PlaneKey, PlateLayout, well_name, well_position
from imextract.simulation.pixels import expected_plane

__all__ = ["image_path", "write_imagexpress_plate"]

_START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
_FIELD_WIDTH_UM = 700.0
_WELL_PITCH_UM = 9000.0
_ZSTEP_UM = 2.0
_TPOINT_INTERVAL_S = 600.0
_EXPOSURE_MS = 100
# Wavelengths of the emission in nm, by channel; further channels repeat them.
_WAVELENGTHS = (452, 520, 593, 692, 692)
_ROWS_PER_STRIP = 16
_SUBFILE_PAGE = 2


def write_imagexpress_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its HTD, which is written last.

    A duplicated plane is there under a second name, which differs in case alone.
    """
    refuse_faults("imagexpress", faults, "absent", "truncated", "duplicated", "thumbnails")
    faulty = choose_faulty(layout, faults)
    entry = folder / f"{_file_stem(layout)}.HTD"
    folders = {folder, *(folder / name for name in _folders(layout))}
    for one in folders:
        one.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(
            lambda key: _write_stack(folder, layout, key, faulty, faults.thumbnails),
            (key for key in layout.plane_keys() if key.zplane == 0),
        ):
            pass
    htd = _htd(layout).encode("cp1252", "replace")
    for one in sorted(folders - {folder}):
        (one / entry.name).write_bytes(htd)
    partial = entry.with_suffix(".part")
    partial.write_bytes(htd)
    return partial.rename(entry)


def image_path(layout: PlateLayout, key: PlaneKey) -> Path:
    """Give the TIFF of a plane, relative to the plate's folder."""
    return Path(_step_folder(layout, key.tpoint, key.zplane + 1)) / _image_name(layout, key)


def _image_name(layout: PlateLayout, key: PlaneKey) -> str:
    # What there is only one of stays out of the name.
    site = f"_s{key.site + 1}" if layout.sites > 1 else ""
    wave = f"_w{key.channel + 1}" if layout.channels > 1 else ""
    return f"{_file_stem(layout)}_{key.well}{site}{wave}.TIF"


def _file_stem(layout: PlateLayout) -> str:
    return layout.plate.replace("/", "_")


def _step_folder(layout: PlateLayout, tpoint: int, zstep: int) -> str:
    folder = f"TimePoint_{tpoint + 1}"
    return f"{folder}/ZStep_{zstep}" if layout.zplanes > 1 else folder


def _folders(layout: PlateLayout) -> Iterator[str]:
    for tpoint in range(layout.tpoints):
        yield f"TimePoint_{tpoint + 1}"
        for zstep in range(layout.zplanes + 1):
            yield _step_folder(layout, tpoint, zstep)


def _write_stack(
    folder: Path, layout: PlateLayout, first: PlaneKey, faulty: FaultyPlanes, thumbnails: bool
) -> None:
    """Write the z-planes of a site and channel, and their projection."""
    projection: NDArray[np.uint16] | None = None
    for zplane in range(layout.zplanes):
        key = PlaneKey(first.well, first.site, first.channel, first.tpoint, zplane)
        if not faulty.is_written(key):
            continue
        pixels = expected_plane(layout, key)
        projection = pixels if projection is None else np.maximum(projection, pixels)
        path = folder / image_path(layout, key)
        _write_image(path, layout, key, pixels)
        if thumbnails:
            tifffile.imwrite(path.with_name(f"{path.stem}_Thumb.TIF"), thumbnail(pixels))
        if key in faulty.duplicated:
            shutil.copyfile(path, path.with_suffix(".tif"))
        if key in faulty.truncated:
            cut_short(path)
    if layout.zplanes > 1 and projection is not None:
        place = folder / _step_folder(layout, first.tpoint, 0)
        _write_image(
            place / _image_name(layout, first), layout, first, projection, is_projection=True
        )


def _write_image(
    path: Path,
    layout: PlateLayout,
    key: PlaneKey,
    pixels: NDArray[np.uint16],
    *,
    is_projection: bool = False,
) -> None:
    time = _time(layout, key)
    tifffile.imwrite(
        path,
        pixels,
        byteorder="<",
        photometric="minisblack",
        subfiletype=_SUBFILE_PAGE,
        rowsperstrip=_ROWS_PER_STRIP,
        software="MetaSeries",
        description=_description(layout, key, time, is_projection),
        metadata=None,
        extratags=[(306, "s", 0, _stamp(time), True)],
    )


def _description(layout: PlateLayout, key: PlaneKey, time: datetime, is_projection: bool) -> str:
    x, y = _stage_position(layout, key)
    pixel_um = _FIELD_WIDTH_UM / layout.width
    channel = layout.channel_names[key.channel]
    step = (
        [("custom-prop", "Z Projection Method", "string", "Maximum")]
        if is_projection
        else [("custom-prop", "Z Step", "int", key.zplane + 1)]
    )
    properties = [
        ("prop", "Description", "string", f"Plate Name: {layout.plate}\r\nExposure: 100 ms"),
        ("prop", "MetaDataVersion", "float", 1),
        ("prop", "ApplicationName", "string", "MetaMorph"),
        ("prop", "ApplicationVersion", "string", "6.7.0.211"),
        ("prop", "plane-type", "string", "plane"),
        ("prop", "pixel-size-x", "int", layout.width),
        ("prop", "pixel-size-y", "int", layout.height),
        ("prop", "bits-per-pixel", "int", 16),
        ("prop", "spatial-calibration-state", "bool", "on"),
        ("prop", "spatial-calibration-x", "float", f"{pixel_um:.6g}"),
        ("prop", "spatial-calibration-y", "float", f"{pixel_um:.6g}"),
        ("prop", "spatial-calibration-units", "string", "um"),
        ("prop", "image-name", "string", channel),
        ("prop", "acquisition-time-local", "time", _stamp(time)),
        ("prop", "stage-position-x", "float", f"{x:g}"),
        ("prop", "stage-position-y", "float", f"{y:g}"),
        ("prop", "stage-label", "string", f"{key.well} : Site {key.site + 1}"),
        ("prop", "z-position", "float", 9000 + key.zplane * _ZSTEP_UM),
        ("prop", "wavelength", "float", _WAVELENGTHS[key.channel % len(_WAVELENGTHS)]),
        ("prop", "_IllumSetting_", "string", channel),
        ("prop", "_MagSetting_", "string", "20X Plan Apo Lambda"),
        ("custom-prop", "Exposure Time", "string", f"{_EXPOSURE_MS} ms"),
        *step,
    ]
    lines = "\r\n".join(
        f"<{tag} id={quoteattr(name)} type={quoteattr(kind)} value={_quoted(str(value))}/>"
        for tag, name, kind, value in properties
    )
    return f"<MetaData>\r\n<PlaneInfo>\r\n{lines}\r\n</PlaneInfo>\r\n</MetaData>\r\n"


def _quoted(text: str) -> str:
    # The description of a TIFF is ASCII.
    text = text.replace("&", "&#38;").replace("<", "&#60;").replace('"', "&#34;")
    text = text.replace("\r", "&#13;").replace("\n", "&#10;")
    return f'"{text.encode("ascii", "xmlcharrefreplace").decode()}"'


def _stage_position(layout: PlateLayout, key: PlaneKey) -> tuple[float, float]:
    """Give the middle of a field in µm, Y downwards as in a drawing of the plate."""
    row, column = well_position(key.well)
    y, x = divmod(key.site, _across(layout))
    height_um = _FIELD_WIDTH_UM * layout.height / layout.width
    return column * _WELL_PITCH_UM + x * _FIELD_WIDTH_UM, row * _WELL_PITCH_UM + y * height_um


def _across(layout: PlateLayout) -> int:
    return math.ceil(math.sqrt(layout.sites))


def _time(layout: PlateLayout, key: PlaneKey) -> datetime:
    """Give the time at which a plane is taken: a fifth of a second each."""
    index = (key.site * layout.zplanes + key.zplane) * layout.channels + key.channel
    return _START + timedelta(seconds=key.tpoint * _TPOINT_INTERVAL_S + 0.2 * index)


def _stamp(time: datetime) -> str:
    return f"{time:%Y%m%d %H:%M:%S}.{time.microsecond // 1000:03d}"


def _htd(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    across = _across(layout)
    down = math.ceil(layout.sites / across)
    wells = {well_name(*position) for position in layout.well_positions}
    has_stacks = layout.zplanes > 1
    lines = [
        '"HTSInfoFile", Version 1.0',
        '"Description", ""',
        '"PlateType", 2',
        f'"TimePoints", {layout.tpoints}',
        f'"ZSeries", {_truth(has_stacks)}',
        # The vendor's word for a plate without stacks.
        f'"ZSteps", {layout.zplanes if has_stacks else 0}',
        f'"ZProjection", {_truth(has_stacks)}',
        f'"XWells", {columns}',
        f'"YWells", {rows}',
        *_selection("WellsSelection", rows, columns, lambda y, x: well_name(y, x) in wells),
        f'"Sites", {_truth(layout.sites > 1)}',
        f'"XSites", {across}',
        f'"YSites", {down}',
        *_selection("SiteSelection", down, across, lambda y, x: y * across + x < layout.sites),
        f'"Waves", {_truth(layout.channels > 1)}',
        f'"NWavelengths", {layout.channels}',
    ]
    lines.extend(f'"WaveName{n}", "{name}"' for n, name in enumerate(layout.channel_names, 1))
    lines.extend(f'"WaveCollect{n + 1}", 1' for n in range(layout.channels))
    lines.append('"EndFile"')
    return "\r\n".join(lines) + "\r\n"


def _selection(
    key: str, rows: int, columns: int, is_selected: Callable[[int, int], bool]
) -> Iterator[str]:
    for row in range(rows):
        cells = ", ".join(_truth(is_selected(row, column)) for column in range(columns))
        yield f'"{key}{row + 1}", {cells}'


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"
