"""Small real files for tests: Bio-Formats' ``.fake`` files and TIFFs."""

import ctypes
import hashlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.planes import PixelArray, PlaneRef
from imextract.registration.manifest import ManifestRow

_BOX = 10


def fake_file(folder: Path, name: str = "image", **parameters: object) -> Path:
    """Make a file that Bio-Formats fills with pixels which spell what they are.

    Parameters are those of its test format: sizeX, sizeZ, pixelType, series,
    dimOrder, plates, plateRows, …
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, object] = {"sizeX": 64, "sizeY": 48}
    spelt = "".join(f"&{key}={value}" for key, value in (sizes | parameters).items())
    path = folder / f"{name}{spelt}.fake"
    path.touch()
    return path


@dataclass(frozen=True)
class Spelt:
    """What the pixels of a plane of a ``.fake`` file say of it."""

    series: int
    plane: int
    z: int
    c: int
    t: int


def spelt(pixels: PixelArray) -> Spelt:
    """Read what a plane of a ``.fake`` file is."""
    return Spelt(*(int(pixels[0, box * _BOX]) for box in range(5)))


def noise(*shape: int, dtype: str = "uint16", seed: int = 0) -> PixelArray:
    """Make pixels that no reader would invent."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.random(shape).astype(dtype)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(generator.bytes(size), dtype).reshape(shape)


def write_tiff(path: Path, pixels: PixelArray, **options: object) -> Path:
    """Write a TIFF of one page for each leading index, uncompressed by default."""
    given: dict[str, object] = {"photometric": "minisblack", "metadata": None} | options
    tifffile.imwrite(path, pixels, **given)  # type: ignore[arg-type]
    return path


def sha256(pixels: PixelArray) -> str:
    """Give the SHA-256 of the pixels as little-endian bytes."""
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(little.tobytes()).hexdigest()


def ref_of(row: ManifestRow) -> PlaneRef:
    """Give where a plane that is not absent lies in its file."""
    assert row.ref is not None
    return row.ref


def is_in_memory(path: Path, start: int = 0) -> bool:
    """Say whether the system holds the page of a file that begins there, by mincore(2)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        address = np.frombuffer(pages, np.uint8).ctypes.data
        answer = ctypes.c_ubyte()
        libc = ctypes.CDLL(None, use_errno=True)
        size = ctypes.c_size_t(mmap.PAGESIZE)
        if libc.mincore(ctypes.c_void_p(address + start), size, ctypes.byref(answer)) != 0:
            raise OSError(ctypes.get_errno(), "mincore", str(path))
    return bool(answer.value & 1)


def forgotten(path: Path) -> Path:
    """Have the system forget what it holds of a file; where files are but memory, skip the test."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if is_in_memory(path):
        pytest.skip(f"{path}: this file system keeps its files in memory")
    return path
