"""A plate as GE's IN Cell Analyzer 2000 writes it.

One TIFF per plane beside an `.xdce` (XML), which names them all; on request
a folder of thumbnails.
"""

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import quoteattr

import imagecodecs
import tifffile

from imextract.simulation.faults import (
    Faults,
    FaultyPlanes,
    choose_faulty,
    cut_short,
    refuse_faults,
    thumbnail,
)
from imextract.simulation.layout import PlaneKey, PlateLayout, well_name, well_position
from imextract.simulation.operetta import field_position
from imextract.simulation.pixels import expected_plane

__all__ = ["image_name", "write_incell_plate"]

_FIELD_WIDTH_UM = 665.6  # 2048 camera pixels through the 20x objective
_ZSTEP_UM = 2.0
_FOCUS_UM = 137.5
_TPOINT_INTERVAL_MS = 600_000
_PLANE_MS = 200
_EXPOSURE_MS = 50
_APPLICATION = "IN Cell Analyzer 2000"
# Name of the filters, excitation and emission in nm, by channel; further ones repeat them.
_FILTERS = (("DAPI", 350, 455), ("FITC", 490, 525), ("Cy3", 543, 605), ("Cy5", 645, 705))


def write_incell_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its index, which is written last.

    A duplicated plane is named twice by the index, the second time with a
    file of its own.
    """
    refuse_faults("incell", faults, "absent", "truncated", "duplicated", "thumbnails")
    faulty = choose_faulty(layout, faults)
    if faults.thumbnails:
        (folder / "thumbs").mkdir()
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(
            lambda key: _write_plane(folder, layout, key, faulty, has_thumbnail=faults.thumbnails),
            layout.plane_keys(),
        ):
            pass
    index = folder / f"{layout.plate.replace('/', '_')}.xdce"
    partial = folder / "index.part"
    with partial.open("w", encoding="iso-8859-1", errors="xmlcharrefreplace") as file:
        _write_index(file, layout, faulty)
    return partial.rename(index)


def image_name(layout: PlateLayout, key: PlaneKey) -> str:
    """Name the TIFF of a plane."""
    filters = _filter_name(key.channel)
    zplane = f" z {key.zplane + 1}" if layout.zplanes > 1 else ""
    milliseconds = key.tpoint * _TPOINT_INTERVAL_MS
    tpoint = f"- time {key.tpoint + 1} - {milliseconds} ms" if layout.tpoints > 1 else ""
    return f"{_label(key.well)}(fld {key.site + 1} wv {filters} - {filters}{zplane}{tpoint}).tif"


def _copy_name(layout: PlateLayout, key: PlaneKey) -> str:
    return image_name(layout, key).replace(").tif", ") copy.tif")


def _thumbnail_name(layout: PlateLayout, key: PlaneKey) -> str:
    return f"thumbs/{image_name(layout, key).removesuffix('.tif')}_thumb.jpg"


def _filter_name(channel: int) -> str:
    name = _FILTERS[channel % len(_FILTERS)][0]
    repeat = channel // len(_FILTERS)
    return f"{name}_{repeat + 1}" if repeat else name


def _label(well: str) -> str:
    row, column = well_position(well)
    return f"{well_name(row, 0)[:-2]} - {column + 1}"


def _write_plane(
    folder: Path, layout: PlateLayout, key: PlaneKey, faulty: FaultyPlanes, *, has_thumbnail: bool
) -> None:
    pixels = expected_plane(layout, key)
    if has_thumbnail:
        small = imagecodecs.jpeg8_encode(thumbnail(pixels))
        (folder / _thumbnail_name(layout, key)).write_bytes(small)
    if not faulty.is_written(key):
        return
    path = folder / image_name(layout, key)
    tifffile.imwrite(
        path,
        pixels,
        byteorder="<",
        photometric="minisblack",
        rowsperstrip=layout.height,
        software=_APPLICATION,
        metadata=None,
    )
    if key in faulty.duplicated:
        shutil.copyfile(path, folder / _copy_name(layout, key))
    if key in faulty.truncated:
        cut_short(path)


def _write_index(file: TextIO, layout: PlateLayout, faulty: FaultyPlanes) -> None:
    identity = uuid.uuid5(uuid.NAMESPACE_OID, repr(layout))
    file.write(
        '<?xml version="1.0" encoding="ISO-8859-1" standalone="no"?>\n<ImageStack>\n'
        f'    <UUID value="{identity}"/>\n'
        f'    <Application name="{_APPLICATION}" software_version="3.0.0.5"/>\n'
        '    <Creation date="2026-01-05" time="09:00:00"/>\n'
        '    <AutoLeadAcquisitionProtocol name="simulated" version="99.9">\n'
    )
    _write_protocol(file, layout)
    count = layout.plane_count + len(faulty.duplicated)
    file.write(f'    </AutoLeadAcquisitionProtocol>\n    <Images number="{count}">\n')
    for key in layout.plane_keys():
        file.write(_image_element(layout, key, image_name(layout, key)))
        if key in faulty.duplicated:
            file.write(_image_element(layout, key, _copy_name(layout, key)))
    file.write("    </Images>\n</ImageStack>\n")


def _write_protocol(file: TextIO, layout: PlateLayout) -> None:
    rows, columns = layout.plate_shape
    pixel_um = _FIELD_WIDTH_UM / layout.width
    file.write(
        '        <UserComment/>\n        <Microscopy type="Fluorescence"/>\n'
        '        <ObjectiveCalibration focal_length="10.0" id="12206" magnification="20.0" '
        'numerical_aperture="0.45" objective_name="Nikon 20X/0.45, Plan Fluor" '
        f'pixel_height="{pixel_um!r}" pixel_width="{pixel_um!r}" refractive_index="1.0" '
        'unit="µm"/>\n'
        '        <Camera name="CoolSNAP K4">\n            <Binning value="1 X 1"/>\n'
        f'            <Size height="{layout.height}" width="{layout.width}"/>\n        </Camera>\n'
        f'        <Plate columns="{columns}" name="{rows * columns} wells" rows="{rows}">\n'
        '            <NamingColumns begin="1"/>\n            <NamingRows begin="A"/>\n'
        "        </Plate>\n"
    )
    _write_wavelengths(file, layout)
    _write_plate_map(file, layout)


def _write_wavelengths(file: TextIO, layout: PlateLayout) -> None:
    mode = "3-D" if layout.zplanes > 1 else "2-D"
    file.write("        <Wavelengths>\n")
    for channel in range(layout.channels):
        _, excitation, emission = _FILTERS[channel % len(_FILTERS)]
        name = _filter_name(channel)
        file.write(
            f'            <Wavelength fusion_wave="false" imaging_mode="{mode}" index="{channel}">'
            f'\n                <ExcitationFilter name="{name}" wavelength="{excitation}"/>\n'
            f'                <EmissionFilter name="{name}" wavelength="{emission}"/>\n'
            f'                <Exposure time="{_EXPOSURE_MS}.0"/>\n            </Wavelength>\n'
        )
    file.write("        </Wavelengths>\n")


def _write_plate_map(file: TextIO, layout: PlateLayout) -> None:
    file.write("        <PlateMap>\n")
    for row, column in layout.well_positions:
        file.write(f'            <Row number="{row + 1}"><Column number="{column + 1}"/></Row>\n')
    file.write("            <FieldOffsets>\n")
    for site in range(layout.sites):
        x, y = field_position(layout, site, _FIELD_WIDTH_UM)
        file.write(f'                <offset_point index="{site}" x="{x:.3f}" y="{y:.3f}"/>\n')
    is_timed = str(layout.tpoints > 1).lower()
    file.write(
        f'            </FieldOffsets>\n            <TimeSchedule enabled="{is_timed}">\n'
        "                <Times>\n"
    )
    for tpoint in range(layout.tpoints):
        milliseconds = tpoint * _TPOINT_INTERVAL_MS
        file.write(f'                    <TimePoint index="{tpoint}" ms="{milliseconds}"/>\n')
    file.write(
        "                </Times>\n            </TimeSchedule>\n"
        f'            <ZDimensionParameters number_of_slices="{layout.zplanes}" '
        f'step="{_ZSTEP_UM}"/>\n        </PlateMap>\n'
    )


def _image_element(layout: PlateLayout, key: PlaneKey, name: str) -> str:
    row, column = well_position(key.well)
    x, y = field_position(layout, key.site, _FIELD_WIDTH_UM)
    z = _FOCUS_UM + key.zplane * _ZSTEP_UM
    filters = _filter_name(key.channel)
    index = (key.site * layout.zplanes + key.zplane) * layout.channels + key.channel
    milliseconds = key.tpoint * _TPOINT_INTERVAL_MS + index * _PLANE_MS
    return f"""        <Image acquisition_time_ms="{milliseconds}" filename={quoteattr(name)} \
thumbnail={quoteattr(_thumbnail_name(layout, key))}>
            <Well label="{_label(key.well)}">
                <Row number="{row + 1}"/>
                <Column number="{column + 1}"/>
            </Well>
            <FocusPosition z="{z:.3f}"/>
            <OffsetFromWellCenter x="{x:.3f}" y="{y:.3f}"/>
            <Exposure time="{_EXPOSURE_MS}.0"/>
            <EmissionFilter name="{filters}"/>
            <ExcitationFilter name="{filters}"/>
            <Identifier field_index="{key.site}" time_index="{key.tpoint}" \
wave_index="{key.channel}" z_index="{key.zplane}"/>
        </Image>
"""
