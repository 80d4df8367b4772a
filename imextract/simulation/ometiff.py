"""A plate as OME-TIFF: one file per plane, and a companion file that names them all."""

import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import tifffile

from imextract.simulation.faults import Faults, choose_faulty, cut_short, refuse_faults
from imextract.simulation.layout import PlaneKey, PlateLayout, well_position
from imextract.simulation.pixels import expected_plane

__all__ = ["write_ometiff_plate"]

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
_FAULTS = ("absent", "truncated", "duplicated")
_PIXEL_UM = 0.325
_ZSTEP_UM = 1.5
_INTERVAL_S = 60


def write_ometiff_plate(folder: Path, layout: PlateLayout, faults: Faults) -> Path:
    """Write a plate; give its companion file, which is written last."""
    refuse_faults("ometiff", faults, *_FAULTS)
    faulty = choose_faulty(layout, faults)
    for key in layout.plane_keys():
        if faulty.is_written(key):
            _write_image(folder / _image_name(layout, key), layout, key)
            if key in faulty.truncated:
                cut_short(folder / _image_name(layout, key))
            if key in faulty.duplicated:
                _write_image(folder / _twin(_image_name(layout, key)), layout, key)
    entry = folder / _entry_name(layout)
    with entry.open("w", encoding="utf-8") as file:
        file.writelines(_ome_xml(layout, faulty.duplicated))
    return entry


def _entry_name(layout: PlateLayout) -> str:
    return f"{layout.plate}.companion.ome"


def _image_name(layout: PlateLayout, key: PlaneKey) -> str:
    return (
        f"{layout.plate}_{key.well}_s{key.site}_c{key.channel}_z{key.zplane}_t{key.tpoint}.ome.tif"
    )


def _twin(name: str) -> str:
    return name.replace(".ome.tif", "_again.ome.tif")


def _uuid(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def _write_image(path: Path, layout: PlateLayout, key: PlaneKey) -> None:
    entry = _entry_name(layout)
    description = (
        f'{_HEAD}<OME xmlns="{_NAMESPACE}" UUID="{_uuid(path.name)}">'
        f'<BinaryOnly MetadataFile={quoteattr(entry)} UUID="{_uuid(entry)}"/></OME>'
    )
    tifffile.imwrite(
        path,
        expected_plane(layout, key),
        photometric="minisblack",
        description=description.encode(),
        metadata=None,
    )


def _ome_xml(layout: PlateLayout, duplicated: frozenset[PlaneKey]) -> Iterator[str]:
    sites = [(position, site) for position in range(layout.wells) for site in range(layout.sites)]
    yield f'{_HEAD}<OME xmlns="{_NAMESPACE}" UUID="{_uuid(_entry_name(layout))}">'
    yield f'<Plate ID="Plate:0" Name={quoteattr(layout.plate)}>'
    for well, (row, column) in enumerate(layout.well_positions):
        yield f'<Well ID="Well:{well}" Row="{row}" Column="{column}">'
        for site in range(layout.sites):
            image = well * layout.sites + site
            yield f'<WellSample ID="WellSample:{image}" Index="{image}">'
            yield f'<ImageRef ID="Image:{image}"/></WellSample>'
        yield "</Well>"
    yield "</Plate>"
    yield '<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="0.75" '
    yield 'NominalMagnification="20"/></Instrument>'
    keys = list(layout.plane_keys())
    per_site = len(keys) // len(sites)
    for image in range(len(sites)):
        own = keys[image * per_site : (image + 1) * per_site]
        yield from _image(layout, image, own, duplicated)
    yield "</OME>\n"


def _image(
    layout: PlateLayout, image: int, keys: list[PlaneKey], duplicated: frozenset[PlaneKey]
) -> Iterator[str]:
    yield f'<Image ID="Image:{image}" Name="{keys[0].well}, site {keys[0].site}">'
    yield '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>'
    yield (
        f'<Pixels ID="Pixels:{image}" DimensionOrder="XYCZT" Type="uint16" '
        f'SizeX="{layout.width}" SizeY="{layout.height}" SizeZ="{layout.zplanes}" '
        f'SizeC="{layout.channels}" SizeT="{layout.tpoints}" PhysicalSizeX="{_PIXEL_UM}" '
        f'PhysicalSizeY="{_PIXEL_UM}" PhysicalSizeZ="{_ZSTEP_UM}">'
    )
    for channel, name in enumerate(layout.channel_names):
        yield f'<Channel ID="Channel:{image}:{channel}" Name={quoteattr(name)} '
        yield f'SamplesPerPixel="1" ExcitationWavelength="{405 + 80 * channel}" '
        yield f'EmissionWavelength="{450 + 80 * channel}"/>'
    for key in keys:
        yield _tiff_data(key, _image_name(layout, key))
        if key in duplicated:
            yield _tiff_data(key, _twin(_image_name(layout, key)))
    yield from (_plane(layout, key) for key in keys)
    yield "</Pixels></Image>"


def _tiff_data(key: PlaneKey, name: str) -> str:
    return (
        f'<TiffData FirstZ="{key.zplane}" FirstC="{key.channel}" FirstT="{key.tpoint}" IFD="0" '
        f'PlaneCount="1"><UUID FileName={quoteattr(name)}>{_uuid(name)}</UUID></TiffData>'
    )


def _plane(layout: PlateLayout, key: PlaneKey) -> str:
    y, x = divmod(key.site, math.ceil(math.sqrt(layout.sites)))
    row, column = well_position(key.well)
    at_x = column * 9000 + x * layout.width * _PIXEL_UM
    at_y = row * 9000 + y * layout.height * _PIXEL_UM
    return (
        f'<Plane TheZ="{key.zplane}" TheC="{key.channel}" TheT="{key.tpoint}" '
        f'DeltaT="{key.tpoint * _INTERVAL_S}" ExposureTime="0.02" PositionX="{at_x:.3f}" '
        f'PositionXUnit="µm" PositionY="{at_y:.3f}" PositionYUnit="µm" '
        f'PositionZ="{key.zplane * _ZSTEP_UM}" PositionZUnit="µm"/>'
    )
