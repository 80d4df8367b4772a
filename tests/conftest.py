"""Fixtures that any test may use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.readers.bioformats_process import BioFormatsProcess, shared_process

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real microscope files."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"real microscope files are not at {_SHARED_DATA}")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def reader_settings() -> Settings:
    """Settings under which all tests read through one Java process."""
    return Settings(java_heap_mb=512, read_timeout_s=60)


@pytest.fixture
def fresh_process() -> Iterator[Settings]:
    """Settings whose Java process no other test has used; ended afterwards."""
    settings = Settings(java_heap_mb=256, read_timeout_s=60)
    shared_process(settings).close()
    yield settings
    shared_process(settings).close()


@pytest.fixture
def bioformats_process(fresh_process: Settings) -> BioFormatsProcess:
    """The Java process of `fresh_process`."""
    return shared_process(fresh_process)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach, too: those of pytest are its owner's alone."""
    with tempfile.TemporaryDirectory(prefix="imextract-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
