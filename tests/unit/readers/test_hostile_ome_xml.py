"""OME-XML that declares or nests without end costs time and memory by its length only."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imextract.errors import SourceFileError
from imextract.readers.ome_tiff import OmeTiffReader
from imextract.registration.ome_xml import parse_ome_xml
from tests.hostile import described

_MOST_SECONDS = 10
_MOST_GROWTH_KB = 700 * 2**10
_MANY = 300_000


def ome_xml(images: str) -> str:
    return f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'


def image(pixels: str = "<TiffData/>", size_t: int = 1) -> str:
    sizes = f'SizeX="4" SizeY="4" SizeZ="1" SizeC="1" SizeT="{size_t}"'
    return (
        f'<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint8" {sizes}>'
        f'<Channel SamplesPerPixel="1"/>{pixels}</Pixels></Image>'
    )


LONG: dict[str, Callable[[], str]] = {
    "nested": lambda: ome_xml("<a>" * _MANY + "</a>" * _MANY + image()),
    "nested in an image": lambda: ome_xml(image("<TiffData/>" + "<a>" * _MANY + "</a>" * _MANY)),
    "attributes": lambda: ome_xml(
        "<a " + " ".join(f'a{number}="{"1" * 30}"' for number in range(_MANY)) + "/>" + image()
    ),
}
LYING: dict[str, Callable[[], str]] = {
    "planes": lambda: ome_xml(image(size_t=19_000_000)),
    "planes again and again": lambda: ome_xml(image("<TiffData/>" * 10_000, size_t=100_000)),
    "facts of the last plane": lambda: ome_xml(
        image('<Plane TheZ="0" TheC="0" TheT="18999999" DeltaT="1"/>', size_t=19_000_000) * 20
    ),
}


@pytest.mark.parametrize("name", LONG | LYING)
def test_it_takes_neither_time_nor_memory(tmp_path: Path, name: str) -> None:
    text = (LONG | LYING)[name]()
    path = tmp_path / "bad.ome.tif"
    path.write_bytes(described(text))
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parse_ome_xml(text)
    if name in LYING:
        with pytest.raises(SourceFileError):
            OmeTiffReader(path)
    else:
        with OmeTiffReader(path) as reader:
            assert reader.structure[0].plane_count == 1
    assert time.process_time() - began < _MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_GROWTH_KB


def test_what_is_told_of_the_last_of_many_planes_is_kept() -> None:
    text = ome_xml(image('<Plane TheZ="0" TheC="0" TheT="18999999" DeltaT="2"/>', 19_000_000))
    planes = parse_ome_xml(text).images[0].planes
    assert planes.get(0, 0, 18_999_999).time_stamp_s == 2
    assert planes.get(0, 0, 18_999_998).time_stamp_s is None
    assert planes.get(0, 0, 19_000_000).time_stamp_s is None
