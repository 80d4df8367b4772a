"""What a reader left as it was is told from what it wrote."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from imextract.readers.unwritten import pattern, read_all_written

SIZE = 6_007
WHOLE = np.random.default_rng(7).integers(0, 256, SIZE, dtype=np.uint8)

Read = Callable[[bool], NDArray[np.uint8]]


def reader_of(content: NDArray[np.uint8], there: slice) -> Read:
    def read(over_pattern: bool) -> NDArray[np.uint8]:
        found = pattern(content.size) if over_pattern else np.zeros_like(content)
        found[there] = content[there]
        return found

    return read


@pytest.mark.parametrize("length", [0, 1, SIZE // 2, SIZE - 1])
def test_an_end_that_was_not_written_is_found_and_zero(length: int) -> None:
    found, unwritten = read_all_written(reader_of(WHOLE, slice(length)))
    assert unwritten is not None
    assert unwritten >= length
    np.testing.assert_array_equal(found[:length], WHOLE[:length])
    assert not found[length:].any()


def test_a_hole_in_the_middle_is_found() -> None:
    read = reader_of(WHOLE, slice(2_000, None))
    assert read_all_written(read)[1] == 0


def test_colours_that_were_turned_round_afterwards_hide_nothing() -> None:
    half = reader_of(WHOLE[: SIZE // 3 * 3], slice(3_000))

    def swapped(over_pattern: bool) -> NDArray[np.uint8]:
        return half(over_pattern).reshape(-1, 3)[:, ::-1].ravel()

    assert read_all_written(swapped)[1] == 3_000


def test_what_was_written_is_never_doubted() -> None:
    for value in range(256):
        constant = np.full(SIZE, value, np.uint8)
        found, unwritten = read_all_written(reader_of(constant, slice(None)))
        assert unwritten is None
        np.testing.assert_array_equal(found, constant)
