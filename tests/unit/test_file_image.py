"""A file that is made in memory."""

import io
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imextract.durable import blocks
from imextract.file_image import FileImage
from imextract.hdf5 import encode_plane

# Where something is written, beyond the end too, and what; or where the file is cut or grows.
STEPS = st.lists(
    st.tuples(st.integers(0, 9000), st.binary(min_size=1, max_size=5000) | st.none()), max_size=20
)


@given(STEPS, st.integers(0, 10_000))
def test_it_holds_what_a_file_would(steps: list[tuple[int, bytes | None]], room: int) -> None:
    image = FileImage(room)
    with tempfile.TemporaryFile(buffering=0) as file:
        for place, content in steps:
            if content is None:
                image.truncate(place)
                file.truncate(place)
                continue
            image.seek(place)
            file.seek(place)
            image.write(memoryview(content))
            file.write(content)
            assert image.tell() == file.tell()
        size = file.seek(0, os.SEEK_END)
        assert image.seek(0, os.SEEK_END) == size
        assert image.content == os.pread(file.fileno(), size + 1, 0)


@given(st.binary(max_size=1000), st.integers(0, 1000), st.integers(0, 1000))
def test_it_is_read_as_a_file_is(content: bytes, start: int, size: int) -> None:
    image, file = FileImage(0), io.BytesIO(content)
    image.write(memoryview(content))
    found, expected = bytearray(size), bytearray(size)
    image.seek(min(start, len(content)))
    file.seek(min(start, len(content)))
    assert image.readinto(memoryview(found)) == file.readinto(expected)
    assert found == expected


def test_memory_that_is_missing_is_told_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = iter([blocks(0)])

    def give(_: int) -> memoryview:
        try:
            return next(rooms)
        except StopIteration:
            raise MemoryError("none is left") from None

    # Patched: memory cannot be made scarce for this alone.
    monkeypatch.setattr("imextract.file_image.blocks", give)
    with pytest.raises(MemoryError, match="none is left"):
        encode_plane(np.zeros((300, 300), np.uint16), {"well": "B03"}, "zstd")
