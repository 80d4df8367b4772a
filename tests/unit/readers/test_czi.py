"""CZI: each plane by its coordinates, and what is not surely a plane is refused."""

from pathlib import Path

import numpy as np
import pytest

from imextract.errors import SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.czi import CziReader
from tests.czi_file import Block, write_czi
from tests.reader_contract import PlaneReaderContract, Sample
from tests.support import noise


class TestCziReader(PlaneReaderContract):
    reader_name = "czi"

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Sample:
        pixels = noise(2, 3, 2, 4, 20, 30)
        places = list(np.ndindex(2, 3, 2, 4))
        # In no order, as a microscope writes them.
        blocks = [
            Block(pixels[s, z, c, t], {"C": c, "T": t, "Z": z, "S": s, "M": 0}, (0, 5, 6)[t % 3])
            for s, z, c, t in reversed(places)
        ]
        small = [Block(noise(10, 15), {"S": 0, "C": 0, "Z": 0, "T": 0}, zoom=2)]
        planes = {PlaneRef(s, c + 2 * (z + 3 * t)): pixels[s, z, c, t] for s, z, c, t in places}
        return Sample(write_czi(tmp_path / "image.czi", [*small, *blocks]), planes)


def test_red_is_the_first_channel(tmp_path: Path) -> None:
    pixels = noise(20, 30, 3, dtype="uint8")
    with CziReader(write_czi(tmp_path / "image.czi", [Block(pixels, {"C": 0})])) as reader:
        assert reader.structure[0].size_c == 3
        for channel in range(3):
            found = reader.read_plane(PlaneRef(0, channel))
            np.testing.assert_array_equal(found, pixels[:, :, 2 - channel])


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([{"C": 0, "M": 0}, {"C": 0, "M": 1}], "as of a mosaic"),
        ([{"C": 0, "T": 0}, {"C": 1, "T": 1}], "2 sub-blocks; expected 1 scenes of 1 x 2 x 2"),
        ([{"C": 1}], "1 sub-blocks; expected 1 scenes of 1 x 2 x 1"),
        ([{"C": 0, "H": 1}], "sub-block"),
        ([], "0 sub-blocks"),
    ],
)
def test_what_bioformats_puts_together_is_left_to_it(
    tmp_path: Path, blocks: list[dict[str, int]], reason: str
) -> None:
    path = write_czi(tmp_path / "image.czi", [Block(noise(9, 9), at) for at in blocks])
    with pytest.raises(SourceFileError, match=f"{reason}.*read the file with Bio-Formats"):
        CziReader(path)


def test_planes_of_different_sizes_in_a_scene_are_left_to_bioformats(tmp_path: Path) -> None:
    blocks = [Block(noise(9, 9), {"C": 0}), Block(noise(9, 8), {"C": 1})]
    with pytest.raises(SourceFileError, match="2 sizes or types"):
        CziReader(write_czi(tmp_path / "image.czi", blocks))


@pytest.mark.parametrize("compression", [1, 4])
def test_a_compression_without_proof_is_left_to_bioformats(
    tmp_path: Path, compression: int
) -> None:
    path = write_czi(tmp_path / "image.czi", [Block(noise(9, 9), {"C": 0}, compression)])
    with pytest.raises(SourceFileError, match=f"compression {compression}"):
        CziReader(path)


@pytest.mark.parametrize(("part", "is_dirty"), [(1, False), (0, True)])
def test_parts_and_files_that_were_never_closed_are_left_to_bioformats(
    tmp_path: Path, part: int, is_dirty: bool
) -> None:
    path = write_czi(
        tmp_path / "image.czi", [Block(noise(9, 9), {"C": 0})], part=part, is_dirty=is_dirty
    )
    with pytest.raises(SourceFileError, match="part"):
        CziReader(path)


@pytest.mark.parametrize("compression", [0, 5, 6])
def test_no_pixel_is_invented_for_a_truncated_block(tmp_path: Path, compression: int) -> None:
    pixels = noise(40, 50)
    path = write_czi(tmp_path / "image.czi", [Block(pixels, {"C": 0}, compression)])
    whole = path.read_bytes()
    data = Block(pixels, {"C": 0}, compression).data()
    at = whole.index(data)
    # Damaged in its midst, the file as long as before.
    path.write_bytes(whole[: at + 5] + whole[at + 105 :] + bytes(100))
    with pytest.raises(SourceFileError):
        read_first(path)


def test_another_block_than_the_directory_tells_is_refused(tmp_path: Path) -> None:
    path = write_czi(
        tmp_path / "image.czi", [Block(noise(9, 9), {"C": 0}), Block(noise(9, 9), {"C": 1})]
    )
    content = path.read_bytes()
    channel = content.index(b"C\0\0\0") + 4
    path.write_bytes(content[:channel] + b"\x01" + content[channel + 1 :])
    with pytest.raises(SourceFileError, match="not the one that the directory tells"):
        read_first(path)


def read_first(path: Path) -> None:
    with CziReader(path) as reader:
        reader.read_plane(PlaneRef(0, 0))
