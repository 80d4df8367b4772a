"""Readers of vendors' formats on files of instruments: true planes, whole file or not."""

import shutil
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.read_ahead import Part
from imextract.readers.registry import open_reader
from tests.reader_contract import PlaneReaderContract, Sample
from tests.support import sha256
from tests.truth import true_planes

_ND2 = "Arcadia-Science+arcadia-microscopy-tools"
FILES = {
    f"{_ND2}/example-multichannel/example-multichannel.nd2": "nd2",
    f"{_ND2}/example-timelapse/example-timelapse.nd2": "nd2",
    f"{_ND2}/example-zstack/example-zstack.nd2": "nd2",
    "nimne+readlif/a/LeicaLASX_wavelength-sweep_example.lif": "lif",
    "nimne+readlif/b/testdata_2channel_xz.lif": "lif",
    "sebi06+czitools/CellDivision_T3_Z5_CH2_X240_Y170_comp1/"
    "CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi": "czi",
    "sebi06+czitools/WellD6-7_S2/WellD6-7_S2.czi": "czi",
    "cgohlke+oiffile/test.oib": "oib",
}


# What a format puts before the pixels of a plane, and how many of them lie together.
LONGEST_HEAD, SAMPLES = 2**13, 4


class VendorContract(PlaneReaderContract):
    """The contract on one real file, whose planes are those that are known of it."""

    entry: str

    @pytest.fixture
    def sample(self, shared_data: Path, reader_settings: Settings) -> Sample:
        path = shared_data / self.entry
        truth = true_planes(shared_data, ())
        refs = {
            PlaneRef(series, plane): true.sha256
            for (entry, series, plane), true in truth.items()
            if entry == self.entry
        }
        with self.open(path, reader_settings) as reader:
            planes = {ref: reader.read_plane(ref) for ref in refs}
        assert {ref: sha256(plane) for ref, plane in planes.items()} == refs
        return Sample(path, planes)


class TestNd2Reader(VendorContract):
    reader_name = "nd2"
    entry = f"{_ND2}/example-multichannel/example-multichannel.nd2"


class TestLifReader(VendorContract):
    reader_name = "lif"
    entry = "nimne+readlif/b/testdata_2channel_xz.lif"


class TestOibReader(VendorContract):
    reader_name = "oib"
    entry = "cgohlke+oiffile/test.oib"


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: Path(entry).name)
def test_every_plane_is_the_known_one(
    entry: str, shared_data: Path, reader_settings: Settings
) -> None:
    truth = {key: true for key, true in true_planes(shared_data, ()).items() if key[0] == entry}
    with open_reader(FILES[entry], shared_data / entry, reader_settings) as reader:
        for (_, series, plane), true in truth.items():
            pixels = reader.read_plane(PlaneRef(series, plane))
            assert sha256(pixels) == true.sha256
            assert (pixels.shape, pixels.dtype.name) == (true.shape, true.dtype)
        counts = [series.plane_count for series in reader.structure]
    assert sum(counts) == len(truth)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("entry", FILES, ids=lambda entry: Path(entry).name)
def test_a_truncated_file_gives_true_planes_or_errors(
    entry: str, part: float, shared_data: Path, tmp_path: Path, reader_settings: Settings
) -> None:
    content = (shared_data / entry).read_bytes()
    path = tmp_path / Path(entry).name
    path.write_bytes(content[: int(len(content) * part)])
    truth = {key[1:]: t for key, t in true_planes(shared_data, ()).items() if key[0] == entry}
    failed = 0
    try:
        with open_reader(FILES[entry], path, reader_settings) as reader:
            for (series, plane), true in truth.items():
                try:
                    assert sha256(reader.read_plane(PlaneRef(series, plane))) == true.sha256
                except SourceFileError:
                    failed += 1
    except SourceFileError:
        failed = len(truth)
    # The last bytes of some formats are padding.
    assert failed or part == 0.999


@pytest.mark.parametrize("entry", [*FILES][:3], ids=lambda entry: Path(entry).name)
def test_a_frame_that_is_not_where_the_map_tells_is_refused(
    entry: str, shared_data: Path, tmp_path: Path, reader_settings: Settings
) -> None:
    path = tmp_path / "image.nd2"
    content = (shared_data / entry).read_bytes()
    path.write_bytes(content.replace(b"ImageDataSeq|0!", b"ImageDataSeq|9!", 1))
    with (
        open_reader("nd2", path, reader_settings) as reader,
        pytest.raises(SourceFileError, match="ImageDataSeq"),
    ):
        reader.read_plane(PlaneRef(0, 0))


@pytest.mark.parametrize("entry", [entry for entry, name in FILES.items() if name != "oib"])
def test_what_the_disk_is_asked_for_holds_the_next_plane(
    entry: str,
    shared_data: Path,
    tmp_path: Path,
    reader_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = shutil.copy(shared_data / entry, tmp_path)
    truth = {PlaneRef(*key[1:]): t for key, t in true_planes(shared_data, ()).items()
             if key[0] == entry}  # fmt: skip
    asked: list[Part] = []
    # Noted, not done: what the system holds of such small files tells nothing.
    monkeypatch.setattr(
        "imextract.readers.native.read_parts_ahead", lambda _, parts: asked.extend(parts)
    )
    last = max(truth)
    with open_reader(FILES[entry], Path(path), reader_settings) as reader:
        reader.prefetch(last)
        ((start, size),) = asked
        _blank_all_but(Path(path), start, start + size + LONGEST_HEAD)
        assert sha256(reader.read_plane(last)) == truth[last].sha256
        # It is that part which is read, not what lies before it or after it.
        assert start > 0
        assert size <= 2 * reader.structure[last.series].plane_bytes * SAMPLES


def _blank_all_but(path: Path, start: int, end: int) -> None:
    with path.open("r+b") as file:
        length = file.seek(0, 2)
        for begin, stop in ((0, start), (end, length)):
            file.seek(begin)
            file.write(b"\x55" * (stop - begin))
