"""A single OME-TIFF: each plane from the page that its OME-XML names."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.ome_tiff import OmeTiffReader
from tests.reader_contract import PlaneReaderContract, Sample
from tests.support import noise, write_tiff

_XML = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'
)
_IMAGE = (
    '<Image ID="Image:{id}"><Pixels ID="Pixels:{id}" Type="{type}" DimensionOrder="{order}" '
    'SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="{c}" SizeT="{t}">{blocks}</Pixels></Image>'
)


def image(number: int, blocks: str, **told: object) -> str:
    sizes = {"type": "uint16", "order": "XYZCT", "x": 30, "y": 20, "z": 1, "c": 1, "t": 1}
    return _IMAGE.format(id=number, blocks=blocks, **(sizes | told))


def write_ome_tiff(path: Path, pages: PixelArray, *images: str, **options: object) -> Path:
    return write_tiff(path, pages, description=_XML.format("".join(images)), **options)


def block(page: int, **first: int) -> str:
    at = "".join(f' First{axis}="{number}"' for axis, number in first.items())
    return f'<TiffData IFD="{page}" PlaneCount="1"{at}/>'


class TestOmeTiffReader(PlaneReaderContract):
    reader_name = "ome-tiff"

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Sample:
        pages = noise(9, 20, 30)
        # The pages of the first image lie backwards.
        places = list(np.ndindex(2, 3))
        blocks = "".join(block(7 - (z + 2 * t), Z=z, T=t) for z, t in places)
        second = image(1, '<TiffData IFD="0" PlaneCount="2"/>', c=2)
        path = tmp_path / "image.ome.tif"
        write_ome_tiff(path, pages, image(0, blocks, z=2, t=3), second, byteorder=">")
        planes = {PlaneRef(0, z + 2 * t): pages[7 - (z + 2 * t)] for z, t in places}
        return Sample(path, planes | {PlaneRef(1, c): pages[c] for c in range(2)})


def test_what_tifffile_writes_is_read(tmp_path: Path) -> None:
    pixels = noise(2, 3, 20, 30)
    tifffile.imwrite(tmp_path / "image.ome.tif", pixels, metadata={"axes": "CZYX"}, bigtiff=True)
    with OmeTiffReader(tmp_path / "image.ome.tif") as reader:
        for plane, expected in enumerate(pixels.reshape(6, 20, 30)):
            np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, plane)), expected)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (image(0, block(0), z=2), "1 of the 2 planes"),
        (image(0, block(0) + block(1), z=1), "1 of the 1 planes .* in 2 places"),
        (image(0, block(2)), "reach page 2, but the file has 2"),
        (image(0, block(0), x=31), "page 0 holds"),
        (image(0, block(0), type="int16"), "page 0 holds"),
        (
            image(0, block(0).replace("/>", '><UUID FileName="b.tif">urn:b</UUID></TiffData>')),
            "1 of the 1 planes",
        ),
        ("", "no image"),
    ],
)
def test_what_is_told_otherwise_than_it_is_is_left_to_bioformats(
    tmp_path: Path, told: str, reason: str
) -> None:
    path = write_ome_tiff(tmp_path / "image.ome.tif", noise(2, 20, 30), told)
    with pytest.raises(SourceFileError, match=f"{reason}.*read the file with Bio-Formats"):
        OmeTiffReader(path)


def test_inverted_pixels_are_left_to_bioformats(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    write_ome_tiff(path, noise(1, 20, 30), image(0, block(0)), photometric="miniswhite")
    with pytest.raises(SourceFileError, match="MINISWHITE"):
        OmeTiffReader(path)


def test_a_truncated_page_is_refused(tmp_path: Path) -> None:
    path = write_ome_tiff(tmp_path / "image.ome.tif", noise(1, 20, 30), image(0, block(0)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceFileError, match="at offset"):
        OmeTiffReader(path)
