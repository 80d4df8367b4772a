"""Errors: one line that survives the way from a worker."""

import pickle

import pytest

from imextract import errors
from imextract.errors import (
    DamagedPlaneError,
    ImextractError,
    LedgerError,
    SourceFileError,
    StorageError,
    may_pass,
)

ALL = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling(kind: type[ImextractError]) -> None:
    found = pickle.loads(pickle.dumps(kind("a.tif: plane 3: expected 5, got 4; do that")))
    assert type(found) is kind
    assert str(found) == "a.tif: plane 3: expected 5, got 4; do that"


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not ImextractError])
def test_an_error_is_also_the_builtin_it_stands_for(kind: type[ImextractError]) -> None:
    assert issubclass(kind, ValueError | LookupError | OSError)


def test_only_hiccups_are_worth_a_retry() -> None:
    assert may_pass(StorageError("disk full"))
    assert may_pass(LedgerError("database is locked"))
    assert not may_pass(DamagedPlaneError("bit rot"))
    assert not may_pass(SourceFileError("truncated"))
    assert not may_pass(OSError("some other"))
