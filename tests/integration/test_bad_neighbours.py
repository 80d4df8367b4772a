"""Whatever lies beside it, a good image is extracted; the bad ones cost an error by name."""

import os
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.extractor import ImageExtractor
from imextract.registration.register import RegistrationRequest, register_folder
from tests import hostile
from tests.experiments import settings_in
from tests.integration.test_bioformats_faults import ome_xml
from tests.integration.test_bombs import LARGE, tiff
from tests.support import noise, write_tiff
from tests.unit.readers.test_hostile_tiff import huge_counts

_MOST_SECONDS = 30
_MOST_GROWTH_KB = 300 * 2**10
_TERABYTE = 2**40


def big_tiff(width: int, height: int, stored: int) -> bytes:
    """Make a BigTIFF of one strip, 8 bits a pixel, whatever it declares."""
    entries = [
        *((256, 16, width), (257, 16, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)),
        *((273, 16, 256), (277, 3, 1), (278, 16, height), (279, 16, stored)),
    ]
    table = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries))
    return (head + table + bytes(8)).ljust(256, b"\0") + noise(64, 64, dtype="uint8").tobytes()


def png(width: int, height: int) -> bytes:
    """Make a PNG whose 50 MB of zeros take 50 kB, whatever it declares."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(50_000_000), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )  # fmt: skip


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def many_planes_declared(path: Path) -> None:
    text = ome_xml([path.name]).replace('SizeZ="1"', 'SizeZ="300"')
    assert 'SizeZ="300"' in text
    write_tiff(path, noise(64, 64), description=text)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, _TERABYTE)


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "BigTIFF of 2**62 pixels a side": ("bad.tif", content(big_tiff(2**62, 2**62, 4096))),
    "strip of a terabyte": ("bad.tif", content(big_tiff(64, 64, _TERABYTE))),
    "deflated to a gigabyte": ("bad.tif", lambda path: path.write_bytes(
        tiff(64, 64, zlib.compress(bytes(2**30), 9), compression=8))),
    "PNG of absurd size": ("bad.png", content(png(LARGE, LARGE))),
    "PNG beyond 2 GiB": ("bad.png", content(png(50_000, 50_000))),
    "planes without a directory": ("bad.ome.tif", many_planes_declared),
    "directories in a circle": ("bad.tif", content(hostile.tiff([hostile.page()] * 3, last=24))),
    "65535 tags of 2**32 values": ("bad.tif", content(huge_counts())),
    "a terabyte of nothing": ("bad.tif", sparse),
    "name with a command for the terminal": ("bad\x1b[31m\x07.tif", content(b"no image")),
    "name that is written backwards": ("bad\u202egpj.tif", content(b"no image")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_the_good_image_is_extracted_and_the_bad_one_named(
    tmp_path: Path, reader_settings: Settings, name: str
) -> None:
    folder, good = tmp_path / "images", noise(32, 32, seed=3)
    folder.mkdir()
    file_name, make = BAD[name]
    make(folder / file_name)
    write_tiff(folder / "good.tif", good)
    places = settings_in(tmp_path)
    update = {"database_url": places.database_url, "storage_url": places.storage_url}
    settings = reader_settings.model_copy(update=update)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    registered = register_folder(RegistrationRequest(folder=folder, name="x", check=0), settings)
    assert registered.experiment_id is not None
    extractor = ImageExtractor(registered.experiment_id, settings)
    results = [
        extractor.run_job(b) for b in extractor.create_run_batches(ImextractBatchArguments())
    ]

    assert time.monotonic() - began < _MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_GROWTH_KB
    planes = list(ChannelImageFile.find(registered.experiment_id, settings))
    (kept,) = [p for p in planes if p.record.sources[0].source_file.name == "good.tif"]
    np.testing.assert_array_equal(kept.get(), good)
    told = [f"{problem.file} {problem.text}" for problem in registered.problems]
    told += [reason for result in results for reason in result.failures]
    assert any(file_name in text for text in told)
    true_planes = 2 if name == "planes without a directory" else 1
    assert sum(plane.record.state == "extracted" for plane in planes) == true_planes
