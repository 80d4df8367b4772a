"""A plate as Olympus' ScanR writes it.

`experiment_descriptor.xml`, which says what was to be imaged, and beside it
`data` with one TIFF per plane, named by well, position, z, time and channel.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.sax.saxutils import escape

import tifffile

from imextract.simulation.faults import (
    Faults,
    FaultyPlanes,
    choose_faulty,
    cut_short,
    refuse_faults,
)
from imextract.simulation.layout import PlaneKey, PlateLayout, well_name, well_position
from imextract.simulation.operetta import field_position
from imextract.simulation.pixels import expected_plane

__all__ = ["image_name", "write_scanr_plate"]

_FIELD_WIDTH_UM = 866.816  # 1344 camera pixels through the 10x objective
_EXPOSURE_MS = 80
_ZSTEP_UM = 2.0
_TPOINT_INTERVAL_MS = 600_000
_SOFTWARE = "National Instruments IMAQ"


def write_scanr_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its descriptor, which is written last.

    A duplicated plane lies in a folder of its own once more, as when a part
    of a plate was copied twice.
    """
    refuse_faults("scanr", faults, "absent", "truncated", "duplicated")
    faulty = choose_faulty(layout, faults)
    data = folder / "data"
    data.mkdir()
    if faults.duplicated:
        (data / "copy").mkdir()
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda key: _write_plane(data, layout, key, faulty), layout.plane_keys()):
            pass
    (folder / "AcquisitionLog.dat").write_text("W\tP\tZ\tT\n", "iso-8859-1")
    descriptor = folder / "experiment_descriptor.xml"
    partial = folder / "descriptor.part"
    partial.write_text(_descriptor(layout), "iso-8859-1", "xmlcharrefreplace")
    return partial.rename(descriptor)


def image_name(layout: PlateLayout, key: PlaneKey) -> str:
    """Name the TIFF of a plane; wells are numbered row by row over the plate."""
    channel = layout.channel_names[key.channel]
    return (
        f"{_label(key.well)}--W{_number(layout, key.well):05d}--P{key.site + 1:05d}"
        f"--Z{key.zplane:05d}--T{key.tpoint:05d}--{channel}.tif"
    )


def _label(well: str) -> str:
    row, column = well_position(well)
    return f"{well_name(row, 0)[:-2]}{column + 1}"


def _number(layout: PlateLayout, well: str) -> int:
    row, column = well_position(well)
    return row * layout.plate_shape[1] + column + 1


def _write_plane(data: Path, layout: PlateLayout, key: PlaneKey, faulty: FaultyPlanes) -> None:
    if not faulty.is_written(key):
        return
    path = data / image_name(layout, key)
    tifffile.imwrite(
        path,
        expected_plane(layout, key),
        byteorder="<",
        photometric="minisblack",
        compression="deflate",
        rowsperstrip=layout.height,
        software=_SOFTWARE,
        metadata=None,
    )
    if key in faulty.duplicated:
        shutil.copyfile(path, data / "copy" / path.name)
    if key in faulty.truncated:
        cut_short(path)


def _descriptor(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    wells = "".join(
        _value("String", "", str(row * columns + column + 1))
        + _value("String", "", _label(well_name(row, column)))
        for row, column in layout.well_positions
    )
    positions = "".join(
        _group("Cluster", "", _value("DBL", "X", f"{x:.5f}") + _value("DBL", "Y", f"{y:.5f}"), 2)
        for x, y in (field_position(layout, site, _FIELD_WIDTH_UM) for site in range(layout.sites))
    )
    channels = "".join(_group("Cluster", "", _channel(name), 3) for name in layout.channel_names)
    shape = _value("I32", "Rows", str(rows)) + _value("I32", "Columns", str(columns))
    content = (
        _value("String", "plate name", layout.plate)
        + _group("Cluster", "format typedef", shape, 2)
        + _group("Array", "well selection table + cDNA", wells, layout.wells)
        + _group("Array", "subposition list", positions, layout.sites)
        + _group("Array", "light channels", channels, layout.channels)
        + _value("I32", "# slices", str(layout.zplanes))
        + _value("DBL", "slices distance", f"{_ZSTEP_UM:.5f}")
        + _value("I32", "timeloop real", str(layout.tpoints))
        + _value("I32", "timeloop delay [ms]", str(_TPOINT_INTERVAL_MS))
        + _value("DBL", "conversion factor um/pixel", repr(_FIELD_WIDTH_UM / layout.width))
    )
    return (
        "<?xml version='1.0' standalone='yes' ?>\n<LVData>\n<Version>8.6.1</Version>\n"
        f"{_group('Cluster', 'experiment descriptor', content, 10)}</LVData>\n"
    )


def _channel(name: str) -> str:
    return (
        _value("String", "name", name)
        + _value("DBL", "exposure time", f"{_EXPOSURE_MS:.5f}")
        + _value("Boolean", "idle", "0")
    )


def _value(kind: str, name: str, value: str) -> str:
    return f"<{kind}>\n<Name>{escape(name)}</Name>\n<Val>{escape(value)}</Val>\n</{kind}>\n"


def _group(kind: str, name: str, content: str, count: int) -> str:
    size = "Dimsize" if kind == "Array" else "NumElts"
    return f"<{kind}>\n<Name>{name}</Name>\n<{size}>{count}</{size}>\n{content}</{kind}>\n"
