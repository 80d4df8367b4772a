"""TIFFs of which the coded pixels of a plane are damaged: that plane fails, no other does."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.extractor import ImageExtractor
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.registry import open_reader
from imextract.readers.tiff_pages import decode_page
from imextract.registration.register import RegistrationRequest, register_folder
from tests.support import noise, write_tiff

# Of the first two, Bio-Formats gives the beginning and then zeros; the others it cannot read.
CODINGS: dict[str, dict[str, object]] = {
    "lzw": {"compression": "lzw"},
    "packbits": {"compression": "packbits"},
    "float predictor": {"compression": "zlib", "predictor": 3},
    "lzma": {"compression": "lzma"},
}


def write_damaged(path: Path, pages: PixelArray, number: int, **options: object) -> None:
    """Write a page for each leading index, one of which was not copied from its middle on."""
    write_tiff(path, pages, **options)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[number]
        start, size = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start + size // 2 : start + size] = bytes(size - size // 2)
    path.write_bytes(content)


@pytest.mark.parametrize("coding", CODINGS)
def test_only_the_plane_whose_pixels_are_damaged_fails(
    tmp_path: Path, reader_settings: Settings, coding: str
) -> None:
    dtype = "float32" if "float" in coding else "uint16"
    pages = np.sort(noise(3, 40, 50, dtype=dtype), axis=-1)
    folder = tmp_path / "images"
    folder.mkdir()
    write_damaged(folder / "image.tif", pages, 1, **CODINGS[coding])
    settings = reader_settings.model_copy(
        update={
            "database_url": f"sqlite:///{tmp_path / 'ledger.db'}",
            "storage_url": str(tmp_path / "planes"),
        }
    )
    found = register_folder(RegistrationRequest(folder=folder, name="damaged", check=0), settings)
    assert found.experiment_id is not None
    extractor = ImageExtractor(found.experiment_id, settings)
    for batch in extractor.create_run_batches(ImextractBatchArguments()):
        extractor.run_job(batch)
    first, second, third = ChannelImageFile.find(found.experiment_id, settings)
    np.testing.assert_array_equal(first.get(), pages[0])
    np.testing.assert_array_equal(third.get(), pages[2])
    assert second.record.state == "failed"
    assert "page 1" in str(second.record.error)
    assert "cannot be decoded" in str(second.record.error)


@pytest.mark.parametrize("coding", ["lzw", "packbits"])
def test_bioformats_is_not_believed_of_pixels_that_do_not_decode(
    tmp_path: Path, reader_settings: Settings, coding: str
) -> None:
    pages = np.sort(noise(3, 40, 50), axis=-1)
    path = tmp_path / "image.tif"
    write_damaged(path, pages, 1, compression=coding)
    with open_reader("bioformats", path, reader_settings) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), pages[0])
        with pytest.raises(SourceFileError, match=r"page 1 .* cannot be decoded"):
            reader.read_plane(PlaneRef(0, 1))
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 2)), pages[2])


@pytest.mark.parametrize(("coding", "decoded"), [(None, []), ("lzw", [4, 5, 0])])
def test_pages_are_decoded_again_only_where_pixels_may_be_damaged(
    tmp_path: Path,
    reader_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    coding: str | None,
    decoded: list[int],
) -> None:
    pages = noise(6, 40, 50)
    path = write_tiff(tmp_path / "image.tif", pages, compression=coding)
    numbers: list[int] = []

    def decode(path: Path, number: int, page: tifffile.TiffPage) -> PixelArray:
        numbers.append(number)
        return decode_page(path, number, page)

    monkeypatch.setattr("imextract.readers.tiff.decode_page", decode)
    with open_reader("bioformats", path, reader_settings) as reader:
        for number in (4, 5, 4, 0):
            np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, number)), pages[number])
    assert numbers == decoded
