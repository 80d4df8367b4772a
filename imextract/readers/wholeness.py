"""Whether a file that only Bio-Formats reads is whole.

Bio-Formats fills what lies beyond the end of a truncated file with zeros, or
with what it read before, without a word. Where a format says how long its file
must be, that is checked here, without decoding anything.
"""

import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from imextract.errors import SourceFileError
from imextract.readers.source import open_source, read_exactly

__all__ = ["why_not_whole"]


_ICS = "Image Cytometry Standard"
_ICS_END = re.compile(rb"[\r\n]end[ \t]*\r?\n")
_MRC_HEAD, _MRC_SECOND = 1024, 92
_SPIDER_HEAD_AT = 84
_LARGEST_HEAD = 1 << 20
_PART = 1 << 20

# A header of cards, the last of which says END.
_FITS_CARD = 80
_FITS_SIZE = re.compile(rb"(BITPIX|NAXIS\d*) *= *(-?\d+)")
_FITS_BLOCK = 2880

_C01_MAGIC = b"\0\0\0\x10"
_ND2_MAGIC = b"\xda\xce\xbe\x0a"
_ND2_END = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_ND2_TAIL = len(_ND2_END) + 8

_CZI_HEAD = struct.Struct("<16sq8x")
_CZI_NAMES = (b"ZISRAW", b"DELETED")

_JP2_START = b"\0\0\0\x0cjP  "
_JP2_BOX = struct.Struct(">I4s")
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"

_LIF_MARK, _LIF_STAR = 0x70, 0x2A
_LIF_LONGEST_NAME = 2**16
_LIF_MEMORY = re.compile(r"<Memory\s[^<>]*>")
_LIF_BLOCK = re.compile(r'MemoryBlockID="([^"]*)"')
_LIF_SIZE = re.compile(r'\sSize="(\d{1,20})"')
_LIF_VERSION = re.compile(r'<LMSDataContainerHeader[^<>]*\sVersion="(\d{1,9})"')


def why_not_whole(format_name: str, files: Sequence[Path], pixel_bytes: int) -> str:
    """Say why a data set's file is not whole; nothing if it is, or its format does not tell.

    Parameters
    ----------
    format_name
        The format, as Bio-Formats calls it.
    files
        The files of the data set.
    pixel_bytes
        Of all its planes.
    """
    check = _CHECKS.get(format_name)
    try:
        reasons = {file: check(file) for file in files} if check is not None else {}
        for file, reason in reasons.items():
            if reason:
                return f"{file}: is truncated: {reason}; copy it again from the microscope"
        return _why_too_short(format_name, files, pixel_bytes)
    except SourceFileError as error:
        return error.message


def _why_too_short(format_name: str, files: Sequence[Path], pixel_bytes: int) -> str:
    head = _HEADS.get(format_name)
    if head is None:
        return ""
    # Where a set has a file with nothing but pixels, that is the largest.
    file = max(files, key=lambda one: one.stat().st_size if one.exists() else -1)
    if _is_compressed(format_name, files):
        return ""
    with open_source(file) as stream:
        expected = head(file, stream) + pixel_bytes
        there = stream.seek(0, os.SEEK_END)
    if there >= expected:
        return ""
    return (
        f"{file}: is truncated: {expected} bytes expected, {pixel_bytes} of them pixels, "
        f"got {there}; copy it again from the microscope"
    )


def _is_compressed(format_name: str, files: Sequence[Path]) -> bool:
    if format_name != _ICS:
        return False
    for file in files:
        with open_source(file) as stream:
            if file.suffix.lower() == ".ics" and b"gzip" in stream.read(1 << 16):
                return True
    return False


def _fixed(size: int) -> Callable[[Path, BinaryIO], int]:
    def head(path: Path, stream: BinaryIO) -> int:  # noqa: ARG001  as all are called
        return size

    return head


def _mrc_head(path: Path, stream: BinaryIO) -> int:
    """Give the size of both headers of MRC and of DeltaVision, which comes of it."""
    content = read_exactly(path, stream, 0, _MRC_HEAD)
    sizes = (int(struct.unpack_from(f"{order}I", content, _MRC_SECOND)[0]) for order in "<>")
    # Whichever byte order tells it, the second header is small.
    return _MRC_HEAD + min(sizes)


def _spider_head(path: Path, stream: BinaryIO) -> int:
    content = read_exactly(path, stream, 0, _SPIDER_HEAD_AT + 4)
    sizes = (struct.unpack_from(f"{order}f", content, _SPIDER_HEAD_AT)[0] for order in "<>")
    return next((int(size) for size in sizes if 1 <= size < _LARGEST_HEAD), 0)


def _ics_head(path: Path, stream: BinaryIO) -> int:
    """Give where pixels begin that are in the same file as the header: after its end."""
    if path.suffix.lower() != ".ics":
        return 0
    found = _ICS_END.search(stream.read(_LARGEST_HEAD))
    return found.end() if found else 0


def _nd2(path: Path) -> str:
    with open_source(path) as stream:
        # The older kind, which is JPEG 2000, has no such map.
        if stream.read(4) != _ND2_MAGIC:
            return ""
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(length - _ND2_TAIL, 0))
        return "" if stream.read().startswith(_ND2_END) else "the map of chunks at its end is lost"


def _czi(path: Path) -> str:
    with open_source(path) as stream:
        length = stream.seek(0, os.SEEK_END)
        position = 0
        while position < length:
            stream.seek(position)
            head = stream.read(_CZI_HEAD.size)
            if len(head) < _CZI_HEAD.size:
                return f"a segment begins at {position}, but the file has {length} bytes"
            name, size = _CZI_HEAD.unpack(head)
            if not name.startswith(_CZI_NAMES) or size < 0:
                return f"no segment begins at {position}, where one must"
            position += _CZI_HEAD.size + size
        if position > length:
            return f"its last segment ends at {position}, but the file has {length} bytes"
        return ""


def _lif(path: Path) -> str:
    with open_source(path) as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        try:
            mark, _, star, characters = struct.unpack("<IIBI", stream.read(13))
            if (mark, star) != (_LIF_MARK, _LIF_STAR):
                return ""
            text = stream.read(2 * characters)
            if len(text) < 2 * characters:
                return "it ends within its metadata"
            xml = text.decode("utf-16-le", "replace")
            lost = _lif_sizes(xml) - _lif_blocks(stream, length, _lif_version(xml))
        except struct.error:
            return "it ends within its header or that of a block"
    return f"{len(lost)} of its blocks of pixels are not all there" if lost else ""


def _lif_version(xml: str) -> int:
    found = _LIF_VERSION.search(xml)
    return int(found[1]) if found else 1


def _lif_sizes(xml: str) -> set[tuple[str, int]]:
    """Give the blocks that hold anything, and how much, by the metadata."""
    found = set()
    for memory in _LIF_MEMORY.findall(xml):
        block, size = _LIF_BLOCK.search(memory), _LIF_SIZE.search(memory)
        if block and size and int(size[1]):
            found.add((block[1], int(size[1])))
    return found


def _lif_blocks(stream: BinaryIO, length: int, version: int) -> set[tuple[str, int]]:
    """Give the blocks that are in the file, whole."""
    size_form, size_bytes = ("<Q", 8) if version >= 2 else ("<I", 4)
    found = set()
    while stream.tell() < length:
        mark, _, _ = struct.unpack("<IIB", stream.read(9))
        (size,) = struct.unpack(size_form, stream.read(size_bytes))
        _, characters = struct.unpack("<BI", stream.read(5))
        if mark != _LIF_MARK or characters > _LIF_LONGEST_NAME:
            break
        name = stream.read(2 * characters).decode("utf-16-le", "replace")
        if stream.tell() + size > length:
            break
        found.add((name, size))
        stream.seek(size, os.SEEK_CUR)
    return found


def _jpeg2000(path: Path) -> str:
    """Walk through the boxes of JP2 (ISO/IEC 15444-1, annex I); a bare codestream is all there is.

    A decoder makes up what is missing of a codestream, blurred or black.
    """
    with open_source(path) as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if stream.read(len(_JP2_START)) != _JP2_START:
            return _without_end(stream, length)
        position = 0
        while position + _JP2_BOX.size <= length:
            stream.seek(position)
            size, kind = _JP2_BOX.unpack(stream.read(_JP2_BOX.size))
            if size == 1:
                size = int.from_bytes(stream.read(8), "big")
            end = position + size if size else length
            if end > length or end < position + _JP2_BOX.size:
                return f"the box {kind!r} at {position} ends at {end}, the file at {length}"
            if kind == b"jp2c":
                return _without_end(stream, end)
            position = end
    return "it has no codestream"


def _jpeg(path: Path) -> str:
    with open_source(path) as stream:
        if stream.read(len(_JPEG_START)) != _JPEG_START:
            return ""
        # Past the segments before the picture, of which one may hold a small picture of its own.
        while (marker := stream.read(2)) not in (_JPEG_SCAN, b""):
            size = int.from_bytes(stream.read(2), "big")
            if size < 2:
                return f"the segment {marker!r} before its picture has no size"
            stream.seek(size - 2, os.SEEK_CUR)
        last = b""
        # Anything may follow after the end of the picture.
        while part := stream.read(_PART):
            if _JPEG_END in last + part:
                return ""
            last = part[-1:]
    return "its picture has no end"


def _without_end(stream: BinaryIO, end: int) -> str:
    stream.seek(max(0, end - len(_JPEG_END)))
    return "" if stream.read(len(_JPEG_END)) == _JPEG_END else "its codestream has no end"


def _c01(path: Path) -> str:
    with open_source(path) as stream:
        # Others are not compressed.
        if stream.read(len(_C01_MAGIC)) != _C01_MAGIC:
            return ""
        decoder = zlib.decompressobj()
        try:
            while not decoder.eof and (part := decoder.unconsumed_tail or stream.read(_PART)):
                decoder.decompress(part, _PART)
        except zlib.error as error:
            return f"its compressed pixels are damaged: {error}"
        return "" if decoder.eof else "its compressed pixels have no end"


def _fits(path: Path) -> str:
    """Bio-Formats tells of the planes that are there as if there were no others."""
    with open_source(path) as stream:
        head = stream.read(_LARGEST_HEAD)
        length = stream.seek(0, os.SEEK_END)
    told: dict[bytes, int] = {}
    for at in range(0, len(head), _FITS_CARD):
        card = head[at : at + _FITS_CARD]
        if card.rstrip() == b"END":
            break
        if found := _FITS_SIZE.match(card):
            told[found[1]] = int(found[2])
    else:
        return "its header has no end"
    axes = [told.get(b"NAXIS%d" % axis, 0) for axis in range(1, told.get(b"NAXIS", 0) + 1)]
    pixel_bytes = math.prod(axes) * abs(told.get(b"BITPIX", 0)) // 8 if axes else 0
    expected = -(-(at + _FITS_CARD) // _FITS_BLOCK) * _FITS_BLOCK + pixel_bytes
    return "" if length >= expected else f"{expected} bytes expected, got {length}"


# How many bytes come before the pixels, of formats that store these one after the
# other, uncompressed.
_HEADS: dict[str, Callable[[Path, BinaryIO], int]] = {
    "Andor SIF": _fixed(0),
    "Bio-Rad PIC": _fixed(76),
    "Deltavision": _mrc_head,
    "IMAGIC": _fixed(0),
    "Medical Research Council": _mrc_head,
    "Princeton Instruments SPE": _fixed(4100),
    "SPIDER": _spider_head,
    _ICS: _ics_head,
}

_CHECKS: dict[str, Callable[[Path], str]] = {
    "Cellomics C01": _c01,
    "Flexible Image Transport System": _fits,
    "JPEG": _jpeg,
    "JPEG-2000": _jpeg2000,
    "Leica Image File Format": _lif,
    "Nikon ND2": _nd2,
    "Zeiss CZI": _czi,
}
