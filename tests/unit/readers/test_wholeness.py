"""A container that was cut short is told from a whole one, wherever it was cut."""

import os
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from imextract.readers.wholeness import why_not_whole

PIXELS = bytes(range(1, 101))


def nd2() -> bytes:
    """The first and the last bytes of the newer kind of ND2."""
    return b"\xda\xce\xbe\x0a" + PIXELS + b"ND2 CHUNK MAP SIGNATURE 0000001!" + bytes(8)


def czi() -> bytes:
    """Three segments."""
    names = (b"ZISRAWFILE", b"DELETED", b"ZISRAWSUBBLOCK")
    size = len(PIXELS)
    return b"".join(struct.pack("<16sqq", name, size, size) + PIXELS for name in names)


def lif(version: int = 2) -> bytes:
    """Two blocks of pixels, and an empty one."""
    sizes = {"MemBlock_1": 60, "MemBlock_2": 40, "MemBlock_3": 0}
    elements = "".join(
        f'<Memory Size="{size}" MemoryBlockID="{name}"/>' for name, size in sizes.items()
    )
    xml = f'<LMSDataContainerHeader Version="{version}">{elements}</LMSDataContainerHeader>'
    parts = [struct.pack("<IIBI", 0x70, 0, 0x2A, len(xml)), xml.encode("utf-16-le")]
    for name, size in sizes.items():
        form = "<IIBQBI" if version >= 2 else "<IIBIBI"
        parts.append(struct.pack(form, 0x70, 0, 0x2A, size, 0x2A, len(name)))
        parts.append(name.encode("utf-16-le") + PIXELS[:size])
    return b"".join(parts)


def mrc(order: str) -> bytes:
    """Both headers, and pixels."""
    return bytes(92) + struct.pack(f"{order}I", 512) + bytes(1024 - 96 + 512) + PIXELS


NOISE = np.random.default_rng(0).integers(0, 255, (12, 12), np.uint8)


def jpeg() -> bytes:
    """A picture with a small one before it, whose end is not its own."""
    content = bytes(imagecodecs.jpeg8_encode(NOISE))
    thumbnail = b"\xff\xd8\xff\xd9"
    return content[:2] + struct.pack(">2sH", b"\xff\xe1", 6) + thumbnail + content[2:]


def jp2(codec: str = "jp2") -> bytes:
    """A picture in boxes, or its bare codestream."""
    return bytes(imagecodecs.jpeg2k_encode(NOISE, codecformat=codec))


def fits() -> bytes:
    """Five planes of 4 x 5 bytes; a remark that looks like a size is none."""
    sizes = {"BITPIX": 8, "NAXIS": 3, "NAXIS1": 4, "NAXIS2": 5, "NAXIS3": 5}
    cards = [f"{key:8}= {value:20}" for key, value in sizes.items()]
    cards += ["HISTORY NAXIS3  = 1", "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + PIXELS


CONTAINERS: dict[str, Callable[[], bytes]] = {
    "Nikon ND2": nd2,
    "Zeiss CZI": czi,
    "Leica Image File Format": lif,
    "Bio-Rad PIC": lambda: bytes(76) + PIXELS,
    "Cellomics C01": lambda: b"\0\0\0\x10" + zlib.compress(PIXELS),
    "Deltavision": lambda: mrc(">"),
    "Flexible Image Transport System": fits,
    "Image Cytometry Standard": lambda: b"ics_version\t2.0\nend\n" + PIXELS,
    "JPEG": jpeg,
    "JPEG-2000": jp2,
    "Medical Research Council": lambda: mrc("<"),
    "Princeton Instruments SPE": lambda: bytes(4100) + PIXELS,
    "SPIDER": lambda: bytes(84) + struct.pack(">f", 100) + bytes(12) + PIXELS,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_whole_and_no_longer_so_once_cut(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / "image.ics", CONTAINERS[name]()
    path.write_bytes(content)
    assert why_not_whole(name, [path], len(PIXELS)) == ""
    # What is left of a LIF without its last, empty block has all of its pixels.
    spare = 50 if name.startswith("Leica") else 0
    for length in range(4, len(content) - spare):
        path.write_bytes(content[:length])
        if name == "Zeiss CZI" and length % (len(content) // 3) == 0:
            continue  # the directory that would be missing is found so by Bio-Formats
        reason = why_not_whole(name, [path], len(PIXELS))
        assert "is truncated" in reason or "whole one" in reason, length


def test_a_bare_codestream_of_jpeg_2000_has_an_end(tmp_path: Path) -> None:
    path, content = tmp_path / "image.j2k", jp2("j2k")
    path.write_bytes(content)
    assert why_not_whole("JPEG-2000", [path], 144) == ""
    path.write_bytes(content[: len(content) // 2])
    assert "its codestream has no end" in why_not_whole("JPEG-2000", [path], 144)


def test_blocks_of_the_older_lif_are_counted_in_four_bytes(tmp_path: Path) -> None:
    path = tmp_path / "old.lif"
    path.write_bytes(lif(version=1))
    assert why_not_whole("Leica Image File Format", [path], 100) == ""
    path.write_bytes(lif(version=1)[:-60])
    assert why_not_whole("Leica Image File Format", [path], 100) != ""


def test_nothing_is_said_of_formats_that_do_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "image.abc"
    path.write_bytes(b"")
    assert why_not_whole("Whatever", [path], 100) == ""


def test_a_compressed_ics_may_be_shorter_than_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "image.ics"
    path.write_text("representation\tcompression\tgzip\nend\n")
    assert why_not_whole("Image Cytometry Standard", [path], 10_000) == ""
    path.write_text("representation\tcompression\tuncompressed\nend\n")
    assert "is truncated" in why_not_whole("Image Cytometry Standard", [path], 10_000)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(".nd2", "Nikon ND2"), (".czi", "Zeiss CZI"), (".lif", "Leica Image File Format")],
)
def test_real_containers_are_whole_until_they_are_cut(
    shared_data: Path, tmp_path: Path, suffix: str, name: str
) -> None:
    random = np.random.default_rng(0)
    copy = tmp_path / f"cut{suffix}"
    found = sorted(shared_data.rglob(f"*{suffix}"))
    assert found
    for file in found:
        assert why_not_whole(name, [file], 0) == "", file.name
        content = file.read_bytes()
        for length in random.integers(1000, len(content), 20):
            copy.write_bytes(content[:length])
            assert why_not_whole(name, [copy], 0), (file.name, length)


def test_compressed_pixels_that_were_not_copied_to_the_end_are_told(tmp_path: Path) -> None:
    path, content = tmp_path / "image.c01", CONTAINERS["Cellomics C01"]()
    for end in range(6, len(content)):
        path.write_bytes(content[:end] + bytes(len(content) - end))
        assert "is truncated" in why_not_whole("Cellomics C01", [path], 0), end


@pytest.mark.parametrize(
    "xml",
    [
        "<Memory " * 200_000,
        "<LMSDataContainerHeader" + " Version" * 200_000,
        '<Memory Size="' + "9" * 5000 + '" MemoryBlockID="m"/>',
    ],
    ids=["no end of elements", "no value", "a number of 5000 digits"],
)
def test_metadata_of_a_lif_that_are_no_xml_take_no_time(tmp_path: Path, xml: str) -> None:
    path = tmp_path / "bad.lif"
    path.write_bytes(struct.pack("<IIBI", 0x70, 0, 0x2A, len(xml)) + xml.encode("utf-16-le"))
    began = time.process_time()
    why_not_whole("Leica Image File Format", [path], 1)
    assert time.process_time() - began < 5


def test_a_block_of_a_lif_cannot_have_a_name_of_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "bad.lif"
    xml = '<LMSDataContainerHeader Version="2"><Memory Size="1" MemoryBlockID="m"/>'
    head = struct.pack("<IIBI", 0x70, 0, 0x2A, len(xml)) + xml.encode("utf-16-le")
    path.write_bytes(head + struct.pack("<IIBQBI", 0x70, 0, 0x2A, 1, 0x2A, 2**32 - 1))
    os.truncate(path, 2**40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "1 of its blocks" in why_not_whole("Leica Image File Format", [path], 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20
