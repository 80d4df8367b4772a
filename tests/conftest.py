"""Fixtures that any test may use."""

from pathlib import Path

import pytest

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real microscope files."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"real microscope files are not at {_SHARED_DATA}")
    return _SHARED_DATA
