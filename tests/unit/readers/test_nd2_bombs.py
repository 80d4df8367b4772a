"""Metadata of ND2 that inflate beyond bounds are told from others, however they are nested."""

import zlib

import pytest

from imextract.readers.nd2_bombs import inflates_too_far

MOST = 100_000


def entry(content: bytes) -> bytes:
    """A compressed entry, as it lies among others."""
    return b"\x4c\x00" + bytes(10) + zlib.compress(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"L" * 1000,
        entry(bytes(MOST)),
        b"before it " + entry(bytes(MOST // 4)) + entry(bytes(MOST // 4)),
        entry(b"some " + entry(bytes(MOST // 2))),
    ],
)
def test_ordinary_metadata_pass(content: bytes) -> None:
    assert not inflates_too_far(content, MOST)


@pytest.mark.parametrize(
    "content",
    [
        entry(bytes(MOST + 1)),
        b"before it " + entry(bytes(MOST // 2 + 1)) * 2,
        entry(b"some " + entry(bytes(MOST))),
        entry(b"in " + entry(b"in " + entry(bytes(2**30 // 16)))),
    ],
)
def test_bombs_do_not(content: bytes) -> None:
    assert inflates_too_far(content, MOST)


def test_metadata_nested_beyond_reason_do_not_pass() -> None:
    content = b"the end"
    for _ in range(12):
        content = entry(content)
    assert inflates_too_far(content, MOST)


def test_many_entries_take_no_time_that_grows_with_their_square() -> None:
    # Each would copy the rest of a megabyte or more, were it not inflated bit by bit.
    assert not inflates_too_far(entry(b"x") * 50_000, MOST)
    assert inflates_too_far(entry(b"x") * 100_001, 10 * MOST)
