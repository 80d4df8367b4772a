"""A plate as a CellVoyager of Yokogawa writes it (CV8000, R2.06).

One TIFF per plane, a record of each in MeasurementData.mlf, and beside them
the images by which camera and lamp are corrected.
"""

import math
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import tifffile

from imextract.simulation.faults import (
    Faults,
    FaultyPlanes,
    choose_faulty,
    cut_short,
    refuse_faults,
)
from imextract.simulation.layout import PlaneKey, PlateLayout, well_position
from imextract.simulation.pixels import expected_plane

__all__ = ["image_name", "write_cellvoyager_plate"]

_NAMESPACE = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_XML = '<?xml version="1.0" encoding="utf-8"?>\n'
_START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
_FIELD_WIDTH_UM = 650.0
_ZSTEP_UM = 3.0
_TPOINT_INTERVAL_S = 600.0
_EXPOSURE_MS = 100
_SETTINGS = "Simulated.mes"
# Light and filter of each channel in nm; further channels repeat them.
_WAVELENGTHS = ((405, 445), (488, 525), (561, 600), (640, 676))
_CORRECTION_SHAPE = (16, 16)


def write_cellvoyager_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its record of images, which is written last.

    A duplicated plane has two records, each with a file; a failed one has a
    record of type ERR, and none.
    """
    refuse_faults("cellvoyager", faults, "absent", "truncated", "duplicated", "errors")
    faulty = choose_faulty(layout, faults)
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(
            lambda key: _write_plane(folder, layout, key, faulty), layout.plane_keys()
        ):
            pass
    _write_corrections(folder, layout)
    (folder / "MeasurementDetail.mrf").write_text(_detail(layout), "utf-8-sig")
    (folder / _SETTINGS).write_text(_settings(layout), "utf-8-sig")
    (folder / f"{_file_stem(layout)}.wpi").write_text(_plate(layout), "utf-8-sig")
    partial = folder / "MeasurementData.part"
    with partial.open("w", encoding="utf-8", newline="\r\n") as file:
        file.write(f'{_XML}<bts:MeasurementData bts:Version="1.0" {_NAMESPACE}>\n')
        for key in layout.plane_keys():
            file.writelines(_records(layout, key, faulty))
        file.write("</bts:MeasurementData>\n")
    return partial.rename(folder / "MeasurementData.mlf")


def image_name(layout: PlateLayout, key: PlaneKey) -> str:
    """Name the TIFF of a plane; each channel is an action of its own."""
    return (
        f"{_file_stem(layout)}_{key.well}_T{key.tpoint + 1:04d}F{key.site + 1:03d}L01"
        f"A{key.channel + 1:02d}Z{key.zplane + 1:02d}C{key.channel + 1:02d}.tif"
    )


def _copy_name(layout: PlateLayout, key: PlaneKey) -> str:
    return image_name(layout, key).replace(".tif", "_1.tif")


def _file_stem(layout: PlateLayout) -> str:
    return layout.plate.replace("/", "_")


def _write_plane(folder: Path, layout: PlateLayout, key: PlaneKey, faulty: FaultyPlanes) -> None:
    if not faulty.is_written(key):
        return
    path = folder / image_name(layout, key)
    tifffile.imwrite(
        path,
        expected_plane(layout, key),
        byteorder="<",
        photometric="minisblack",
        rowsperstrip=layout.height,
        metadata=None,
    )
    if key in faulty.duplicated:
        shutil.copyfile(path, folder / _copy_name(layout, key))
    if key in faulty.truncated:
        cut_short(path)


def _write_corrections(folder: Path, layout: PlateLayout) -> None:
    pixels = np.ones(_CORRECTION_SHAPE, np.uint16)
    names = ["DC_DCAM#1_CAM3.tif"]
    names.extend(map(_shading_name, range(layout.channels)))
    for name in names:
        tifffile.imwrite(folder / name, pixels, metadata=None)


def _records(layout: PlateLayout, key: PlaneKey, faulty: FaultyPlanes) -> Iterator[str]:
    kind = "ERR" if key in faulty.errors else "IMG"
    yield _record(layout, key, kind, image_name(layout, key))
    if key in faulty.duplicated:
        yield _record(layout, key, kind, _copy_name(layout, key))


def _record(layout: PlateLayout, key: PlaneKey, kind: str, name: str) -> str:
    row, column = well_position(key.well)
    x, y = _stage_position(layout, key.site)
    told = {
        "Type": kind,
        "Time": _time(layout, key).isoformat(timespec="milliseconds"),
        "Column": column + 1,
        "Row": row + 1,
        "TimePoint": key.tpoint + 1,
        "FieldIndex": key.site + 1,
        "ZIndex": key.zplane + 1,
        "TimelineIndex": 1,
        "ActionIndex": key.channel + 1,
        "Action": "3D",
        "X": f"{x:.1f}",
        "Y": f"{y:.1f}",
        "Z": f"{key.zplane * _ZSTEP_UM:.1f}",
        "Ch": key.channel + 1,
    }
    attributes = _attributes(told)
    return f"<bts:MeasurementRecord {attributes}>{escape(name)}</bts:MeasurementRecord>\n"


def _attributes(told: dict[str, object]) -> str:
    return " ".join(f"bts:{name}={quoteattr(str(value))}" for name, value in told.items())


def _stage_position(layout: PlateLayout, site: int) -> tuple[float, float]:
    """Give the middle of a field in µm from the middle of the well, Y upwards."""
    across = math.ceil(math.sqrt(layout.sites))
    down = math.ceil(layout.sites / across)
    y, x = divmod(site, across)
    height_um = _FIELD_WIDTH_UM * layout.height / layout.width
    return (x - (across - 1) / 2) * _FIELD_WIDTH_UM, ((down - 1) / 2 - y) * height_um


def _time(layout: PlateLayout, key: PlaneKey) -> datetime:
    """Give the time at which a plane is taken: a fifth of a second each."""
    index = (key.site * layout.channels + key.channel) * layout.zplanes + key.zplane
    return _START + timedelta(seconds=key.tpoint * _TPOINT_INTERVAL_S + 0.2 * index)


def _shading_name(channel: int) -> str:
    return f"SC_BP{_filter_nm(channel)}_20x_CH{channel + 1:02d}.tif"


def _filter_nm(channel: int) -> int:
    return _WAVELENGTHS[channel % len(_WAVELENGTHS)][1]


def _detail(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    pixel_um = f"{_FIELD_WIDTH_UM / layout.width:.6g}"
    head = _attributes(
        {
            "Version": "1.0",
            "OperatorName": "imextract",
            "Title": layout.plate,
            "BeginTime": _START.isoformat(),
            "MeasurementSettingFileName": _SETTINGS,
            "ColumnCount": columns,
            "RowCount": rows,
            "TimePointCount": layout.tpoints,
            "FieldCount": layout.sites,
            "ZCount": layout.zplanes,
            "TargetSystem": "CV8000",
            "ReleaseNumber": "R2.06.03",
            "Status": 0,
        }
    )
    plate = _attributes(
        {
            "Name": layout.plate,
            "WellPlateFileName": f"{_file_stem(layout)}.wpi",
            "WellPlateProductFileName": "",
        }
    )
    lines = [
        f"<bts:MeasurementDetail {head} {_NAMESPACE}>",
        f"  <bts:MeasurementSamplePlate {plate} />",
    ]
    for channel in range(layout.channels):
        told = _attributes(
            {
                "Ch": channel + 1,
                "HorizontalPixelDimension": pixel_um,
                "VerticalPixelDimension": pixel_um,
                "CameraNumber": 3,
                "InputBitDepth": 16,
                "InputLevel": 10000,
                "HorizontalPixels": layout.width,
                "VerticalPixels": layout.height,
                "FilterWheelPosition": 6,
                "FilterPosition": channel + 1,
                "ShadingCorrectionSource": _shading_name(channel),
            }
        )
        lines.append(f"  <bts:MeasurementChannel {told} />")
    return _XML + "\n".join([*lines, "</bts:MeasurementDetail>"]) + "\n"


def _settings(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    head = _attributes({"Version": "1.0", "ProductID": "", "Columns": columns, "Rows": rows})
    lines = [
        f"<bts:MeasurementSetting {head} {_NAMESPACE}>",
        *_timeline(layout),
        '  <bts:LightSourceList bts:UseCalibratedLaserPower="true">',
    ]
    for light in dict.fromkeys(light for light, _ in _WAVELENGTHS):
        told = _attributes(
            {"Name": f"{light}nm", "Type": "Laser", "WaveLength": light, "Power": 100}
        )
        lines.append(f"    <bts:LightSource {told} />")
    lines += ["  </bts:LightSourceList>", "  <bts:ChannelList>"]
    for channel, name in enumerate(layout.channel_names):
        light, filter_nm = _WAVELENGTHS[channel % len(_WAVELENGTHS)]
        told = _attributes(
            {
                "Ch": channel + 1,
                "Target": light,
                "ObjectiveID": 20200,
                "Objective": "20x v2",
                "Magnification": 20,
                "MethodID": 1,
                "Method": "Confocal Fluorescence 405/488/561/640 nm",
                "FilterID": channel + 1,
                "Acquisition": f"BP{filter_nm}/45",
                "ExposureTime": _EXPOSURE_MS,
                "Binning": 1,
                "Color": "#FF002FFF",
                "MinLevel": 0,
                "MaxLevel": 1,
                "CSUID": 2,
                "PinholeDiameter": 50,
                "Kind": "ConfocalFluorescence",
                "CameraType": "DCAM",
                "InputLevel": 10000,
                "Fluorophore": name,
            }
        )
        lines += [
            f"    <bts:Channel {told}>",
            f"      <bts:LightSourceName>{light}nm</bts:LightSourceName>",
            "    </bts:Channel>",
        ]
    return _XML + "\n".join([*lines, "  </bts:ChannelList>", "</bts:MeasurementSetting>"]) + "\n"


def _timeline(layout: PlateLayout) -> Iterator[str]:
    yield "  <bts:Timelapse>"
    told = _attributes({"Name": "Time Line 1", "InitialTime": 0, "Period": 600, "Interval": 0})
    yield f"    <bts:Timeline {told}>"
    yield '      <bts:WellSequence bts:IsSelected="true">'
    for row, column in layout.well_positions:
        told = _attributes({"Column": column + 1, "Row": row + 1})
        yield f"        <bts:TargetWell {told}>true</bts:TargetWell>"
    yield "      </bts:WellSequence>"
    yield '      <bts:PointSequence bts:Method="FixedPosition">'
    yield '        <bts:FixedPosition bts:IsProportional="false">'
    for site in range(layout.sites):
        x, y = _stage_position(layout, site)
        yield f"          <bts:Point {_attributes({'X': x, 'Y': y})} />"
    yield "        </bts:FixedPosition>\n      </bts:PointSequence>"
    yield '      <bts:ActionList bts:RunMode="sequential" bts:AFSearch="afparam">'
    for channel in range(layout.channels):
        told = _attributes(
            {
                "XOffset": 0,
                "YOffset": 0,
                "AFShiftBase": 0,
                "TopDistance": (layout.zplanes - 1) * _ZSTEP_UM,
                "BottomDistance": 0,
                "SliceLength": _ZSTEP_UM,
                "UseSoftFocus": "false",
            }
        )
        yield f"        <bts:ActionAcquire3D {told}>"
        yield f"          <bts:Ch>{channel + 1}</bts:Ch>"
        yield "        </bts:ActionAcquire3D>"
    yield "      </bts:ActionList>\n    </bts:Timeline>\n  </bts:Timelapse>"


def _plate(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    told = _attributes(
        {"Version": "1.0", "Name": layout.plate, "ProductID": "1", "Columns": columns, "Rows": rows}
    )
    return f"{_XML}<bts:WellPlate {told} {_NAMESPACE}>\n</bts:WellPlate>\n"
