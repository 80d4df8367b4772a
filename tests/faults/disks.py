"""Small disks that can be filled, unmounted, and cut from power."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def memory_disk(folder: Path, size_kb: int, inodes: int = 0) -> Iterator[Path]:
    """Mount a disk in memory at a folder, which is made; 0 inodes for no limit."""
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", f"size={size_kb}k,nr_inodes={inodes}", "tmpfs"):
        yield folder


def resize(disk: Path, size_kb: int, inodes: int = 0) -> None:
    """Change the size of a disk in memory."""
    options = f"remount,size={size_kb}k,nr_inodes={inodes}"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)


def make_image(image: Path, size_mb: int = 24) -> Path:
    """Make the image of an ext4 disk."""
    program = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no mkfs.ext4 here: apt-get install e2fsprogs")
    with image.open("wb") as file:
        file.truncate(size_mb * 2**20)
    subprocess.run([program, "-q", str(image)], check=True, capture_output=True)
    return image


@contextmanager
def image_disk(image: Path, folder: Path, options: str = "loop") -> Iterator[Path]:
    """Mount the image of a disk at a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    with mounted(folder, "-o", options, str(image)):
        yield folder


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    tried = subprocess.run(
        ["mount", *arguments, str(folder)], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no disks can be mounted here: {tried.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily, because a test may have unmounted it, or be interrupted.
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
