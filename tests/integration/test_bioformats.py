"""Bio-Formats reads files whose pixels spell what they are."""

import itertools
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import PlaneMismatchError, SourceFileError, UnknownFormatError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.readers.bioformats_process import shared_process
from imextract.readers.expected import MOST_OPEN
from imextract.readers.inspection import Inspection
from imextract.readers.registry import READERS, choose_reader
from tests.reader_contract import PlaneReaderContract, Sample
from tests.support import Spelt, fake_file, noise, spelt, write_tiff

ORDERS = ["XY" + "".join(rest) for rest in itertools.permutations("ZCT")]
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float", "double"]


class TestBioFormatsContract(PlaneReaderContract):
    reader_name = "bioformats"

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Sample:
        pixels = noise(3, 20, 30)
        path = write_tiff(tmp_path / "stack.tif", pixels, byteorder=">")
        return Sample(path, {PlaneRef(0, index): plane for index, plane in enumerate(pixels)})


@pytest.mark.parametrize("order", ORDERS)
def test_every_plane_is_where_the_dimension_order_says(
    tmp_path: Path, reader_settings: Settings, order: str
) -> None:
    path = fake_file(tmp_path, sizeZ=2, sizeC=3, sizeT=4, dimOrder=order, series=2)
    with BioFormatsReader(path, reader_settings) as reader:
        assert len(reader.structure) == 2
        for index, series in enumerate(reader.structure):
            for plane in range(series.plane_count):
                told = spelt(reader.read_plane(PlaneRef(index, plane)))
                assert told == Spelt(index, plane, *series.zct(plane))


@pytest.mark.parametrize("little", ["true", "false"])
@pytest.mark.parametrize("pixel_type", TYPES)
def test_every_pixel_type_keeps_its_type(
    tmp_path: Path, reader_settings: Settings, pixel_type: str, little: str
) -> None:
    path = fake_file(tmp_path, pixelType=pixel_type, little=little, sizeZ=3)
    with BioFormatsReader(path, reader_settings) as reader:
        plane = reader.read_plane(PlaneRef(0, 2))
        expected = {"float": "float32", "double": "float64"}.get(pixel_type, pixel_type)
        assert plane.dtype == np.dtype(expected)
        assert reader.structure[0].dtype == expected
        assert spelt(plane) == Spelt(0, 2, 2, 0, 0)


def test_rgb_samples_are_planes_of_their_own(tmp_path: Path, reader_settings: Settings) -> None:
    pixels = noise(20, 30, 3, dtype="uint8")
    path = write_tiff(tmp_path / "rgb.tif", pixels, photometric="rgb")
    with BioFormatsReader(path, reader_settings) as reader:
        assert (reader.structure[0].size_c, reader.structure[0].plane_count) == (3, 3)
        for sample in range(3):
            np.testing.assert_array_equal(
                reader.read_plane(PlaneRef(0, sample)), pixels[..., sample]
            )


def test_palette_planes_keep_their_indices(tmp_path: Path, reader_settings: Settings) -> None:
    pixels = noise(20, 30, dtype="uint8")
    palette = noise(3, 256, dtype="uint16", seed=1)
    path = write_tiff(tmp_path / "palette.tif", pixels, photometric="palette", colormap=palette)
    with BioFormatsReader(path, reader_settings) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), pixels)


def test_bit_images_are_inspected_but_not_read(tmp_path: Path, reader_settings: Settings) -> None:
    path = fake_file(tmp_path, pixelType="bit")
    assert inspect_file(path, reader_settings).structure[0].dtype == "bit"
    with (
        BioFormatsReader(path, reader_settings) as reader,
        pytest.raises(SourceFileError, match="type bit cannot be stored"),
    ):
        reader.read_plane(PlaneRef(0, 0))


def test_inspection_of_a_plate_tells_all_series(tmp_path: Path, reader_settings: Settings) -> None:
    path = fake_file(tmp_path, plates=1, plateRows=2, plateCols=3, fields=2, sizeZ=3)
    inspection = inspect_file(path, reader_settings)
    assert len(inspection.structure) == 12
    assert inspection.used_files == (path,)
    assert inspection.metadata_files == ()
    assert inspection.format_name == "Simulated data"
    assert inspection.ome_xml.count("<WellSample ") == 12


def test_a_hundred_planes_of_a_file_cost_one_opening(
    tmp_path: Path, fresh_process: Settings
) -> None:
    path = fake_file(tmp_path, sizeZ=10, sizeT=10)
    with BioFormatsReader(path, fresh_process) as reader:
        for plane in range(100):
            assert spelt(reader.read_plane(PlaneRef(0, plane))).plane == plane
            reader.prefetch(PlaneRef(0, min(plane + 1, 99)))
    assert shared_process(fresh_process).ask("asking", {"do": "stats"})["opened"] == 1


def test_a_few_files_stay_open_and_the_rest_are_closed(
    tmp_path: Path, fresh_process: Settings
) -> None:
    for number in range(MOST_OPEN + 2):
        with BioFormatsReader(fake_file(tmp_path, f"image{number}"), fresh_process) as reader:
            reader.read_plane(PlaneRef(0, 0))
    stats = shared_process(fresh_process).ask("asking", {"do": "stats"})
    assert (stats["opened"], stats["open"]) == (MOST_OPEN + 2, MOST_OPEN)


def test_of_files_inspected_in_no_time_none_but_the_last_is_kept(
    tmp_path: Path, fresh_process: Settings
) -> None:
    paths = [fake_file(tmp_path, f"image{number}") for number in range(3)]
    inspect_file(paths[0], fresh_process)
    for path in paths:
        inspect_file(path, fresh_process)
    stats = shared_process(fresh_process).ask("asking", {"do": "stats"})
    assert (stats["opened"], stats["open"]) == (4, 1)


def test_finding_out_the_format_reads_a_little_of_the_file(
    tmp_path: Path, reader_settings: Settings
) -> None:
    path = write_tiff(tmp_path / "plane.tif", noise(1024, 1024))
    inspect_file(path, reader_settings)
    process = psutil.Process(shared_process(reader_settings).pid)
    before = process.io_counters().read_chars
    inspect_file(path, reader_settings)
    # A hundred readers ask for its first bytes; each was given the first megabyte of it.
    assert process.io_counters().read_chars - before < 8 * path.stat().st_size


@pytest.mark.parametrize("name", ["größe 😀 %s*#'\".tif", "-leading.tif", "new\nline.tif"])
def test_names_of_any_characters_are_opened(
    tmp_path: Path, reader_settings: Settings, name: str
) -> None:
    pixels = noise(8, 9)
    path = write_tiff(tmp_path / name, pixels)
    assert inspect_file(path, reader_settings).used_files == (path,)
    with BioFormatsReader(path, reader_settings) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), pixels)


@pytest.mark.parametrize("folder", ["plain", "b\udcfcrger"])
@pytest.mark.parametrize("name", ["gr\udcfc\udcdfe", "plain"])
def test_names_that_are_no_utf8_are_opened(
    tmp_path: Path, reader_settings: Settings, folder: str, name: str
) -> None:
    (tmp_path / folder).mkdir()
    path = write_tiff(tmp_path / folder / f"{name}.tif", noise(8, 9))
    inspection = inspect_file(path, reader_settings)
    assert inspection.used_files == (path,)
    assert choose_reader(inspection, reader_settings) == "tifffile"
    with BioFormatsReader(path, reader_settings) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), noise(8, 9))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.tif", b""),
        ("text.tif", b"this is no TIFF at all"),
        ("notes.txt", b"no image"),
        ("table.csv", b"x,y,value\n1,2,3\n4,5,6\n"),
        ("unknown.xyz", bytes(range(256)) * 8),
    ],
)
def test_what_is_no_image_is_refused(
    tmp_path: Path, reader_settings: Settings, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match=name):
        inspect_file(path, reader_settings)


def test_unknown_format_has_an_error_of_its_own(tmp_path: Path, reader_settings: Settings) -> None:
    path = tmp_path / "unknown.xyz"
    path.write_bytes(b"nothing that any microscope writes")
    with pytest.raises(UnknownFormatError, match=r"unknown\.xyz.*leave the file out"):
        inspect_file(path, reader_settings)


def test_archives_are_no_images(tmp_path: Path, reader_settings: Settings) -> None:
    image = write_tiff(tmp_path / "image.tif", noise(8, 8))
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(image, "image.tif")
    with pytest.raises(UnknownFormatError):
        inspect_file(tmp_path / "archive.zip", reader_settings)


@pytest.mark.parametrize("options", [{"photometric": "miniswhite"}, {"dtype": "bool"}])
def test_tifffile_is_not_chosen_where_it_reads_otherwise(
    tmp_path: Path, reader_settings: Settings, options: dict[str, str]
) -> None:
    is_bits = options.get("dtype") == "bool"
    pixels = np.eye(16) > 0 if is_bits else noise(16, 16, dtype="uint8")
    path = write_tiff(tmp_path / "image.tif", pixels, **options)
    inspection = inspect_file(path, reader_settings)
    assert choose_reader(inspection, reader_settings) == "bioformats"


def test_a_file_that_changed_shape_is_refused(tmp_path: Path, reader_settings: Settings) -> None:
    path = write_tiff(tmp_path / "image.tif", noise(16, 16))
    with BioFormatsReader(path, reader_settings) as reader:
        reader.read_plane(PlaneRef(0, 0))
        write_tiff(path, noise(16, 20))
        with pytest.raises(PlaneMismatchError, match="size_x"):
            reader.read_plane(PlaneRef(0, 0))


def test_a_tiff_that_bioformats_opens_but_cannot_decode_is_given_to_tifffile(
    tmp_path: Path, reader_settings: Settings
) -> None:
    path = tmp_path / "predicted.tif"
    plane = noise(64, 48).astype("float32")
    tifffile.imwrite(path, plane, compression="zlib", predictor=3)
    assert choose_reader(inspect_file(path, reader_settings), reader_settings) == "tifffile"


def test_a_reader_in_the_registry_is_chosen_where_it_agrees(
    tmp_path: Path, reader_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Native(BioFormatsReader):
        """A reader of our own, of .fake files."""

        @classmethod
        def may_read(cls, inspection: Inspection) -> bool:
            return inspection.path.suffix == ".fake"

    class Wrong(Native):
        def read_plane(self, ref: PlaneRef) -> PixelArray:
            return super().read_plane(ref)[::-1]

    inspection = inspect_file(fake_file(tmp_path, sizeZ=3), reader_settings)
    for kind, chosen in ((Wrong, "bioformats"), (Native, "native")):
        readers = {"native": kind, **READERS}
        monkeypatch.setattr("imextract.readers.registry.READERS", readers)
        assert choose_reader(inspection, reader_settings) == chosen
