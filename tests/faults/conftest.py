"""Where attacks take place, and what they need."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: nothing is waited for, kills are as real."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < 64 * 2**20:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="imextract-", dir=_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def strace() -> None:
    """Make sure that strace is here and may look into processes."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here: apt-get install strace")
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
