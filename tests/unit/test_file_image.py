"""A file that is made in memory."""

import io
import os

from hypothesis import given
from hypothesis import strategies as st

from imextract.file_image import FileImage

# Where something is written, and what; beyond the end at most by a little, as files are made.
WRITES = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=5000)), max_size=20)


@given(WRITES, st.integers(0, 10_000))
def test_it_holds_what_a_file_would(writes: list[tuple[float, bytes]], room: int) -> None:
    image, file = FileImage(room), io.BytesIO()
    for place, content in writes:
        start = int(place * len(file.getvalue()))
        image.seek(start)
        file.seek(start)
        image.write(memoryview(content))
        file.write(content)
        assert image.tell() == file.tell()
    assert image.content == file.getvalue()
    assert image.seek(0, os.SEEK_END) == len(file.getvalue())


@given(st.binary(max_size=1000), st.integers(0, 1000), st.integers(0, 1000))
def test_it_is_read_as_a_file_is(content: bytes, start: int, size: int) -> None:
    image, file = FileImage(0), io.BytesIO(content)
    image.write(memoryview(content))
    found, expected = bytearray(size), bytearray(size)
    image.seek(min(start, len(content)))
    file.seek(min(start, len(content)))
    assert image.readinto(memoryview(found)) == file.readinto(expected)
    assert found == expected
