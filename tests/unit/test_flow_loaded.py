"""What is loaded is kept from the garbage collector while a run lasts, and no longer."""

import gc
from collections.abc import Iterator

import pytest

from flows.loaded import loaded_is_kept


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_is_loaded_is_kept_until_the_run_ends() -> None:
    with loaded_is_kept():
        assert gc.get_freeze_count() > 0
        with loaded_is_kept():
            pass
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_keeps_stays_kept() -> None:
    gc.freeze()
    with loaded_is_kept():
        pass
    assert gc.get_freeze_count() > 0
