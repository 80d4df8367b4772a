"""A plate as PerkinElmer's Operetta writes it (Harmony 4.9).

One TIFF per plane beside `Images/Index.idx.xml`, which names them all, and a
layout of the assay that holds no pixels.
"""

import math
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape

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

__all__ = ["field_position", "image_name", "write_operetta_plate"]

_START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
_FIELD_WIDTH_M = 6.4581e-4  # 2160 camera pixels through the 20x objective
_CAMERA_PIXELS = 2160
_ZSTEP_M = 2e-6
_TPOINT_INTERVAL_S = 600.0
_EXPOSURE_S = 0.02
_NAMESPACES = (
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
_HARMONY = 'xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"'
_SOFTWARE = "Windows Ver: 10.0.19042, Device Serial No: SIMULATED, App Ver: NGen 4.9.2137.273"
_IMAGE_DESCRIPTION_TAG = 65500
# Excitation and emission in nm, by channel; further channels repeat them.
_WAVELENGTHS = ((375, 456), (475, 525), (550, 599), (640, 706), (650, 760))


def write_operetta_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its index, which is written last.

    A duplicated plane is named twice by the index, the second time with a
    file of its own; a failed one has another state than "Ok".
    """
    refuse_faults("operetta", faults, "absent", "truncated", "duplicated", "errors")
    faulty = choose_faulty(layout, faults)
    images = folder / "Images"
    images.mkdir()
    (folder / "Assaylayout").mkdir()
    (folder / "Assaylayout" / "Unnamed.xml").write_text(_assay_layout(layout), "utf-8-sig")
    # Making noise and compressing it leave the interpreter's lock alone.
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(
            lambda key: _write_plane(images, layout, key, faulty), layout.plane_keys()
        ):
            pass
    index = images / "Index.idx.xml"
    partial = images / "Index.idx.xml.part"
    with partial.open("w", encoding="utf-8-sig", newline="\r\n") as file:
        _write_index(file, layout, faulty)
    return partial.rename(index)


def image_name(key: PlaneKey) -> str:
    """Name the TIFF of a plane."""
    row, column = well_position(key.well)
    return (
        f"r{row + 1:02d}c{column + 1:02d}f{key.site + 1:02d}p{key.zplane + 1:02d}"
        f"-ch{key.channel + 1}sk{key.tpoint + 1}fk1fl1.tiff"
    )


def _copy_name(key: PlaneKey) -> str:
    return image_name(key).replace("fk1", "fk2")


def _write_plane(images: Path, layout: PlateLayout, key: PlaneKey, faulty: FaultyPlanes) -> None:
    if not faulty.is_written(key):
        return
    path = images / image_name(key)
    _write_image(path, layout, key)
    if key in faulty.duplicated:
        shutil.copyfile(path, images / _copy_name(key))
    if key in faulty.truncated:
        cut_short(path)


def _write_image(path: Path, layout: PlateLayout, key: PlaneKey) -> None:
    pixels_per_cm = layout.width / (_FIELD_WIDTH_M * 100)
    description = (
        f'<?xml version="1.0" encoding="utf-8"?>\r\n<TiffImageDescription Version="1" {_HARMONY}>'
        f"<MeasurementID>{_measurement_id(layout)}</MeasurementID></TiffImageDescription>"
    ).encode()
    tifffile.imwrite(
        path,
        expected_plane(layout, key),
        byteorder="<",
        photometric="minisblack",
        compression="lzw",
        predictor=False,
        rowsperstrip=layout.height,
        resolution=(pixels_per_cm, pixels_per_cm),
        resolutionunit="CENTIMETER",
        software=_SOFTWARE,
        metadata=None,
        extratags=[
            (271, "s", 0, "PerkinElmer", True),
            (306, "s", 0, _iso(_time(layout, key)), True),
            (_IMAGE_DESCRIPTION_TAG, "B", len(description), description, True),
        ],
    )


def _write_index(file: TextIO, layout: PlateLayout, faulty: FaultyPlanes) -> None:
    rows, columns = layout.plate_shape
    wells = [f"{row + 1:02d}{column + 1:02d}" for row, column in layout.well_positions]
    plate = escape(layout.plate)
    file.write(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<EvaluationInputData {_NAMESPACES} Version="1" {_HARMONY}>\n'
        "  <User>imextract</User>\n  <InstrumentType>Sonata</InstrumentType>\n"
        f"  <Plates>\n    <Plate>\n      <PlateID>{plate}</PlateID>\n"
        f"      <MeasurementID>{_measurement_id(layout)}</MeasurementID>\n"
        f"      <MeasurementStartTime>{_iso(_START)}</MeasurementStartTime>\n"
        f"      <Name>{plate}</Name>\n"
        f"      <PlateTypeName>{rows * columns} Simulated</PlateTypeName>\n"
        f"      <PlateRows>{rows}</PlateRows>\n      <PlateColumns>{columns}</PlateColumns>\n"
    )
    file.writelines(f'      <Well id="{well}" />\n' for well in wells)
    file.write("    </Plate>\n  </Plates>\n  <Wells>\n")
    _write_wells(file, layout)
    file.write("  </Wells>\n  <Images>\n")
    for key in layout.plane_keys():
        state = "Failed" if key in faulty.errors else "Ok"
        file.write(_image_element(layout, key, image_name(key), state))
        if key in faulty.duplicated:
            file.write(_image_element(layout, key, _copy_name(key)))
    file.write("  </Images>\n</EvaluationInputData>\n")


def _write_wells(file: TextIO, layout: PlateLayout) -> None:
    well = ""
    for key in layout.plane_keys():
        if key.well != well:
            row, column = well_position(key.well)
            file.write("    </Well>\n" if well else "")
            file.write(
                f"    <Well>\n      <id>{row + 1:02d}{column + 1:02d}</id>\n"
                f"      <Row>{row + 1}</Row>\n      <Col>{column + 1}</Col>\n"
            )
            well = key.well
        file.write(f'      <Image id="{_image_id(key)}" />\n')
    file.write("    </Well>\n")


def _image_element(layout: PlateLayout, key: PlaneKey, name: str, state: str = "Ok") -> str:
    row, column = well_position(key.well)
    x, y = field_position(layout, key.site, _FIELD_WIDTH_M)
    excitation, emission = _WAVELENGTHS[key.channel % len(_WAVELENGTHS)]
    pixel_m = _FIELD_WIDTH_M / layout.width
    binning = max(1, _CAMERA_PIXELS // layout.width)
    z = key.zplane * _ZSTEP_M
    return f"""    <Image Version="1">
      <id>{_image_id(key)}</id>
      <State>{state}</State>
      <URL>{name}</URL>
      <Row>{row + 1}</Row>
      <Col>{column + 1}</Col>
      <FieldID>{key.site + 1}</FieldID>
      <PlaneID>{key.zplane + 1}</PlaneID>
      <TimepointID>{key.tpoint}</TimepointID>
      <ChannelID>{key.channel + 1}</ChannelID>
      <FlimID>1</FlimID>
      <ChannelName>{escape(layout.channel_names[key.channel])}</ChannelName>
      <ImageType>Signal</ImageType>
      <AcquisitionType>NonConfocal</AcquisitionType>
      <IlluminationType>Epifluorescence</IlluminationType>
      <ChannelType>Fluorescence</ChannelType>
      <ImageResolutionX Unit="m">{pixel_m!r}</ImageResolutionX>
      <ImageResolutionY Unit="m">{pixel_m!r}</ImageResolutionY>
      <ImageSizeX>{layout.width}</ImageSizeX>
      <ImageSizeY>{layout.height}</ImageSizeY>
      <BinningX>{binning}</BinningX>
      <BinningY>{binning}</BinningY>
      <MaxIntensity>65535</MaxIntensity>
      <CameraType>AndorZylaCam</CameraType>
      <PositionX Unit="m">{x:.9g}</PositionX>
      <PositionY Unit="m">{y:.9g}</PositionY>
      <PositionZ Unit="m">{z:.9g}</PositionZ>
      <AbsPositionZ Unit="m">{0.1375 + z:.9f}</AbsPositionZ>
      <MeasurementTimeOffset Unit="s">{key.tpoint * _TPOINT_INTERVAL_S:g}</MeasurementTimeOffset>
      <AbsTime>{_iso(_time(layout, key))}</AbsTime>
      <MainExcitationWavelength Unit="nm">{excitation}</MainExcitationWavelength>
      <MainEmissionWavelength Unit="nm">{emission}</MainEmissionWavelength>
      <ObjectiveMagnification Unit="">20</ObjectiveMagnification>
      <ObjectiveNA Unit="">0.4</ObjectiveNA>
      <ExposureTime Unit="s">{_EXPOSURE_S}</ExposureTime>
    </Image>
"""


def _image_id(key: PlaneKey) -> str:
    row, column = well_position(key.well)
    return (
        f"{row + 1:02d}{column + 1:02d}K{key.tpoint + 1}F{key.site + 1}"
        f"P{key.zplane + 1}R{key.channel + 1}"
    )


def field_position(layout: PlateLayout, site: int, field_width: float) -> tuple[float, float]:
    """Give the middle of a field from the middle of the well, Y upwards.

    Fields touch, and are taken row by row, every second row backwards.
    """
    across = math.ceil(math.sqrt(layout.sites))
    down = math.ceil(layout.sites / across)
    y, x = divmod(site, across)
    if y % 2:
        x = across - 1 - x
    field_height = field_width * layout.height / layout.width
    return (x - (across - 1) / 2) * field_width, ((down - 1) / 2 - y) * field_height


def _time(layout: PlateLayout, key: PlaneKey) -> datetime:
    """Give the time at which a plane is taken: a fifth of a second each."""
    index = (key.site * layout.zplanes + key.zplane) * layout.channels + key.channel
    return _START + timedelta(seconds=key.tpoint * _TPOINT_INTERVAL_S + 0.2 * index)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _measurement_id(layout: PlateLayout) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(layout))


def _assay_layout(layout: PlateLayout) -> str:
    rows, columns = layout.plate_shape
    wells = "\n".join(
        f"    <Well>\n      <Row>{row + 1}</Row>\n      <Col>{column + 1}</Col>\n"
        "      <Value />\n    </Well>"
        for row, column in layout.well_positions
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<AssayLayout {_NAMESPACES} {_HARMONY}>\n"
        f"  <PlateCols>{columns}</PlateCols>\n  <PlateRows>{rows}</PlateRows>\n"
        f"  <Layer>\n    <Name>Compound</Name>\n    <ValueType>string</ValueType>\n{wells}\n"
        "  </Layer>\n</AssayLayout>\n"
    )
