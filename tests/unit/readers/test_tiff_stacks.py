"""MetaMorph's stacks: all planes behind one directory, none invented."""

from pathlib import Path

import numpy as np
import pytest

from imextract.errors import PlaneNotFoundError, SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.tiff import TiffReader, tiff_planes
from imextract.registration.tiff_header import read_tiff_header
from imextract.simulation.stk import write_stk
from tests.support import noise, write_tiff


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.stk"
    write_stk(path, list(noise(5, 20, 30)), pixel_size_um=0.5, zstep_um=2)
    return path


def test_every_plane_is_read(stack: Path) -> None:
    planes = noise(5, 20, 30)
    with TiffReader(stack) as reader:
        assert reader.structure[0].plane_count == 5
        for index in (4, 0, 3, 1, 2):
            read = reader.read_plane(PlaneRef(0, index))
            assert not np.shares_memory(read, reader.read_plane(PlaneRef(0, index)))
            assert read.dtype.isnative
            assert (read == planes[index]).all()
        with pytest.raises(PlaneNotFoundError):
            reader.read_plane(PlaneRef(0, 5))


def test_every_plane_is_there_as_proof(stack: Path) -> None:
    found = list(tiff_planes(stack))
    assert all((one == other).all() for one, other in zip(found, noise(5, 20, 30), strict=True))


def test_the_quick_header_counts_the_planes(stack: Path) -> None:
    header = read_tiff_header(stack)
    assert header is not None
    assert header.structure.plane_count == 5
    assert header.end_of_pixels == stack.stat().st_size


def test_a_truncated_stack_is_refused_and_seen_in_the_header(stack: Path) -> None:
    size = stack.stat().st_size
    with stack.open("r+b") as file:
        file.truncate(size - 1)
    header = read_tiff_header(stack)
    assert header is not None
    assert header.end_of_pixels == size
    with pytest.raises(SourceFileError, match="5 planes"):
        TiffReader(stack)


def test_scattered_strips_are_left_to_bioformats(tmp_path: Path) -> None:
    path = tmp_path / "scattered.stk"
    tags = [(33629, "I", 2, (0, 0), True)]
    write_tiff(path, noise(20, 30), extratags=tags, compression="zlib")
    assert read_tiff_header(path) is None
    with pytest.raises(SourceFileError, match="with Bio-Formats"):
        TiffReader(path)


def test_a_stack_of_one_plane_is_any_tiff(tmp_path: Path) -> None:
    path = tmp_path / "one.stk"
    (plane,) = noise(1, 20, 30)
    write_stk(path, [plane], pixel_size_um=0.5, zstep_um=2)
    with TiffReader(path) as reader:
        assert (reader.read_plane(PlaneRef(0, 0)) == plane).all()


def test_a_directory_for_each_plane_outweighs_what_imagej_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    write_tiff(path, noise(4, 20, 30), description="ImageJ=1.48v\nchannels=2\nslices=2\n")
    header = read_tiff_header(path)
    assert header is not None
    assert header.structure.plane_count == 4


def test_a_stack_behind_one_directory_of_imagej_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "imagej.tif"
    write_tiff(path, noise(20, 30), description="ImageJ=1.48v\nimages=4\n")
    assert read_tiff_header(path) is None
