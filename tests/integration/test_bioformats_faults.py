"""No pixel is ever invented, and no file makes us do what it wants."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.readers.expected import ExpectedFile
from imextract.readers.java_home import find_java_home
from tests.support import noise, write_tiff

SIZE = 64


def ome_xml(names: list[str]) -> str:
    """Metadata of one image whose channels lie in one TIFF each."""
    places = "".join(
        f'<TiffData FirstC="{c}" FirstZ="0" FirstT="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:00000000-0000-0000-0000-{c:012d}</UUID></TiffData>'
        for c, name in enumerate(names)
    )
    channels = "".join(
        f'<Channel ID="Channel:0:{c}" SamplesPerPixel="1"/>' for c in range(len(names))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0" Name="set"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        f'Type="uint16" SizeX="{SIZE}" SizeY="{SIZE}" SizeC="{len(names)}" SizeZ="1" SizeT="1">'
        f"{channels}{places}</Pixels></Image></OME>"
    )


class DataSet:
    """Five TIFFs named by a companion file; the last one is black."""

    def __init__(self, folder: Path) -> None:
        self.tiffs = [folder / f"channel{c}.ome.tiff" for c in range(5)]
        self.planes: list[PixelArray] = [noise(SIZE, SIZE, seed=c) for c in range(4)]
        self.planes.append(np.zeros((SIZE, SIZE), "uint16"))
        for path, plane in zip(self.tiffs, self.planes, strict=True):
            write_tiff(path, plane, rowsperstrip=16)
        self.entry = folder / "set.companion.ome"
        self.entry.write_text(ome_xml([path.name for path in self.tiffs]))
        self.expected = [ExpectedFile.as_found(path) for path in [self.entry, *self.tiffs]]

    def read(
        self, settings: Settings, expected: list[ExpectedFile]
    ) -> list[PixelArray | SourceFileError]:
        """Give each plane's pixels, or the error it met."""
        found: list[PixelArray | SourceFileError] = []
        with BioFormatsReader(self.entry, settings, expected) as reader:
            for plane in range(5):
                try:
                    found.append(reader.read_plane(PlaneRef(0, plane)))
                except SourceFileError as error:
                    found.append(error)
        return found


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    return DataSet(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero_middle_strip(path: Path) -> None:
    """Leave size and directory as they are, and the first strip without place."""
    content = bytearray(path.read_bytes())
    content[4:8] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "other": lambda path: path.write_bytes(b"\x89PNG" + bytes(path.stat().st_size - 4)),
    "broken": zero_middle_strip,
}


def test_a_whole_data_set_is_read_black_plane_and_all(
    data_set: DataSet, reader_settings: Settings
) -> None:
    inspection = inspect_file(data_set.entry, reader_settings)
    assert set(inspection.used_files) == {data_set.entry, *data_set.tiffs}
    assert inspection.metadata_files == (data_set.entry,)
    for found, plane in zip(
        data_set.read(reader_settings, data_set.expected), data_set.planes, strict=True
    ):
        assert not isinstance(found, SourceFileError)
        np.testing.assert_array_equal(found, plane)


@pytest.mark.parametrize("registered", ["before", "never"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_planes_of_a_bad_file_are_refused_and_the_others_given(
    data_set: DataSet, reader_settings: Settings, damage: str, registered: str
) -> None:
    bad = data_set.tiffs[1]
    DAMAGES[damage](bad)
    expected = data_set.expected if registered == "before" else []
    found = data_set.read(reader_settings, expected)
    for plane, result in enumerate(found):
        if isinstance(result, SourceFileError):
            assert plane in (1, 4), f"plane {plane} lies in a healthy file: {result}"
        else:
            np.testing.assert_array_equal(result, data_set.planes[plane])
    assert isinstance(found[1], SourceFileError)
    if registered == "before":
        assert bad.name in str(found[1])


def test_a_file_that_changed_since_registration_is_named(
    data_set: DataSet, reader_settings: Settings
) -> None:
    write_tiff(data_set.tiffs[2], noise(SIZE, SIZE, seed=9), rowsperstrip=16)
    found = data_set.read(reader_settings, data_set.expected)
    # Its new pixels are in a healthy TIFF, but are not what was registered.
    assert isinstance(found[2], SourceFileError)
    assert "changed since it was registered" in str(found[2])
    assert np.array_equal(np.asarray(found[0]), data_set.planes[0])


def test_a_truncated_tiff_of_its_own_is_refused(tmp_path: Path, reader_settings: Settings) -> None:
    path = write_tiff(tmp_path / "alone.tif", noise(SIZE, SIZE), rowsperstrip=16)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with (
        BioFormatsReader(path, reader_settings) as reader,
        pytest.raises(SourceFileError, match=r"alone\.tif: at offset \d+ expected"),
    ):
        reader.read_plane(PlaneRef(0, 0))


def test_a_black_plane_of_a_lone_tiff_is_given(tmp_path: Path, reader_settings: Settings) -> None:
    path = write_tiff(tmp_path / "black.tif", np.zeros((SIZE, SIZE), "uint16"))
    with BioFormatsReader(path, reader_settings) as reader:
        assert not reader.read_plane(PlaneRef(0, 0)).any()


def test_a_real_plate_of_which_planes_are_not_on_disk_is_refused(
    shared_data: Path, reader_settings: Settings
) -> None:
    # 16 of the 20 planes of it that are not constant are those of other files.
    path = shared_data / "fmi-faim+faim-ipa/9987_Plate_3434/9987.HTD"
    with pytest.raises(SourceFileError, match="register with --microscope imagexpress"):
        BioFormatsReader(path, reader_settings)
    with pytest.raises(SourceFileError, match="register with --microscope imagexpress"):
        inspect_file(path, reader_settings)


def test_a_real_plate_with_bad_tiffs_gives_only_the_others(
    shared_data: Path, reader_settings: Settings, tmp_path: Path
) -> None:
    source = shared_data / "leukemia-kispi+operetta-compose/operetta_plate/Images"
    images = Path(shutil.copytree(source, tmp_path / "Images"))
    for file in images.iterdir():
        file.chmod(0o644)
    tiffs = sorted(images.glob("*.tiff"))
    truncate(tiffs[0])
    index = images / "Index.idx.xml"
    with BioFormatsReader(index, reader_settings) as reader:
        with pytest.raises(SourceFileError, match=tiffs[0].name):
            reader.read_plane(PlaneRef(0, 0))
        assert reader.read_plane(PlaneRef(1, 0)).any()
    tiffs[0].unlink()
    with BioFormatsReader(index, reader_settings) as reader:
        with pytest.raises(SourceFileError, match="cannot be trusted"):
            reader.read_plane(PlaneRef(0, 0))
        assert reader.read_plane(PlaneRef(1, 0)).any()


class Listener:
    """A web server that remembers what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    thread = threading.Thread(target=listening.server.serve_forever)
    thread.start()
    yield listening
    listening.server.shutdown()
    listening.server.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["evil.xlef", "evil.ome", "evil.companion.ome", "Index.idx.xml"])
def test_xml_does_not_fetch_what_it_names(
    tmp_path: Path, reader_settings: Settings, listener: Listener, name: str
) -> None:
    path = tmp_path / name
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE LMSDataContainerHeader SYSTEM "{listener.address}/dtd" '
        f'[<!ENTITY far SYSTEM "{listener.address}/entity">]>'
        "<LMSDataContainerHeader><Element Name='x'>&far;</Element></LMSDataContainerHeader>"
    )
    with pytest.raises(SourceFileError, match=name):
        inspect_file(path, reader_settings)
    assert listener.asked == []


_TELL_JAVA = (
    "import json; from imextract.readers.java import XML_FLAGS, jars; "
    "print(json.dumps([jars(), XML_FLAGS]))"
)


def open_in_plain_java(path: Path, *, with_flags: bool) -> None:
    """Open a file with the bundled Bio-Formats, and none of what else we put around it."""
    told = subprocess.run([sys.executable, "-c", _TELL_JAVA], capture_output=True, check=True)
    jars, flags = json.loads(told.stdout)
    command = [str(find_java_home() / "bin" / "java"), *(flags if with_flags else [])]
    command += ["-cp", os.pathsep.join(jars), "loci.formats.tools.ImageInfo", "-nopix", str(path)]
    subprocess.run(command, capture_output=True, timeout=300, check=False)


def test_the_flags_alone_close_the_external_entities_of_xlef(
    tmp_path: Path, listener: Listener
) -> None:
    path = tmp_path / "evil.xlef"
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE LMSDataContainerHeader SYSTEM "{listener.address}/dtd">'
        "<LMSDataContainerHeader/>"
    )
    open_in_plain_java(path, with_flags=False)
    assert listener.asked == ["/dtd"], "CVE-2026-22186 is in the bundled Bio-Formats"
    listener.asked.clear()
    open_in_plain_java(path, with_flags=True)
    assert listener.asked == []


@pytest.mark.parametrize("name", ["bomb.ome", "bomb.xlef", "Index.idx.xml"])
def test_an_entity_bomb_is_refused_at_once(
    tmp_path: Path, reader_settings: Settings, name: str
) -> None:
    entities = '<!ENTITY e0 "boom">' + "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12)
    )
    path = tmp_path / name
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE OME [{entities}]>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">&e11;</OME>'
    )
    began = time.monotonic()
    with pytest.raises(SourceFileError, match=name):
        inspect_file(path, reader_settings)
    assert time.monotonic() - began < 20


def test_a_file_that_was_replaced_in_secret_is_opened_anew(
    tmp_path: Path, settings: Settings
) -> None:
    """Bio-Formats holds files open: a proof by what it holds would be none."""
    file, other = tmp_path / "a.tif", tmp_path / "other.tif"
    before, after = noise(SIZE, SIZE, seed=1), noise(SIZE, SIZE, seed=2)
    write_tiff(file, before)
    seen = (ExpectedFile.as_found(file),)
    with BioFormatsReader(file, settings, seen) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), before)
    write_tiff(other, after)
    os.utime(other, ns=(seen[0].mtime_ns, seen[0].mtime_ns))
    other.replace(file)
    assert seen[0].problem() is None
    with BioFormatsReader(file, settings, seen) as reader:
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), after)
