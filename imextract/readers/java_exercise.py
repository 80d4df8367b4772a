"""Having Java load what reads pixels, before it reads any that are wanted."""

import struct
import tempfile
from pathlib import Path

from imextract.readers.confined_data_set import ConfinedDataSet

__all__ = ["exercise_java"]

# Rows and columns. Read once: more often, or larger, made no plane after it faster.
_SIZE = 256

_HEADER = struct.Struct("<2sHI")
_ENTRY = struct.Struct("<HHII")
_SHORT, _LONG = 3, 4


def exercise_java() -> None:
    """Read a small image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exercise.tif"
        path.write_bytes(_image())
        data_set = ConfinedDataSet.open(str(path), [folder])
        try:
            data_set.ask(lambda opened: opened.read(0, 0, {}))
        finally:
            data_set.close()


def _image() -> bytes:
    """Give a TIFF with one strip of pixels, right behind its only directory."""
    size = 2 * _SIZE * _SIZE
    tags = {256: _SIZE, 257: _SIZE, 258: 16, 259: 1, 262: 1, 273: 0, 277: 1, 278: _SIZE, 279: size}
    start = _HEADER.size + 2 + len(tags) * _ENTRY.size + 4
    tags[273] = start
    entries = [
        _ENTRY.pack(tag, _LONG if tag in (273, 279) else _SHORT, 1, value)
        for tag, value in tags.items()
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)
    return _HEADER.pack(b"II", 42, _HEADER.size) + directory + bytes(range(256)) * (size // 256)
