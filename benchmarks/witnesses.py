"""What other readers make of a file: all planes of it, by their digests."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from nd2 import ND2File

from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.registry import READERS

__all__ = ["Witnesses", "digest", "planes_of"]

# Readers of ours that share their decoder with a witness.
_SAME = {"tifffile": {"tifffile", "tifffile pages"}, "ome-tiff": {"tifffile", "tifffile pages"}}


def digest(pixels: PixelArray) -> str:
    """Give the SHA-256 of the pixels as little-endian bytes."""
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()


def planes_by(name: str, path: Path, settings: Settings) -> list[PixelArray]:
    """Give all planes of a file that a reader can read; none if it stumbles."""
    found: list[PixelArray] = []
    with suppress(Exception):  # a fence: other libraries stumble in every way
        found.extend(_READINGS[name](path, settings))
    return found


def planes_of(path: Path, settings: Settings) -> list[PixelArray]:
    """Give all planes of a file, by the reader that gives the most."""
    return max((planes_by(name, path, settings) for name in _READINGS), key=len)


class Witnesses:
    """The readers that give the planes of a file as they are known to be.

    Parameters
    ----------
    path
        The file, undamaged.
    digests
        Of its planes.
    """

    def __init__(self, path: Path, digests: frozenset[str], settings: Settings) -> None:
        self._settings = settings
        self._names = [name for name in _READINGS if digests <= self._digests(name, path)]

    def are_there(self, reader: str) -> bool:
        """Whether one is independent of a reader of ours."""
        return bool(self._independent(reader))

    def give(self, path: Path, reader: str) -> frozenset[str]:
        """Give the digests of all planes that those independent of a reader find in a file."""
        found = (self._digests(name, path) for name in self._independent(reader))
        return frozenset().union(*found)

    def _independent(self, reader: str) -> list[str]:
        same = _SAME.get(reader, {reader})
        return [name for name in self._names if name not in same]

    def _digests(self, name: str, path: Path) -> frozenset[str]:
        return frozenset(map(digest, planes_by(name, path, self._settings)))


def _ours(name: str) -> Callable[[Path, Settings], Iterator[PixelArray]]:
    def read(path: Path, settings: Settings) -> Iterator[PixelArray]:
        with READERS[name](path, settings) as reader:
            for series, structure in enumerate(reader.structure):
                for plane in range(structure.plane_count):
                    try:
                        yield reader.read_plane(PlaneRef(series, plane))
                    except ImextractError:
                        continue

    return read


def _tiff_pages(path: Path, settings: Settings) -> Iterator[PixelArray]:  # noqa: ARG001
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            pixels = page.asarray()
            is_last = getattr(page, "axes", "YX") == "YXS"
            yield from np.moveaxis(pixels, -1, 0) if is_last else np.atleast_3d(pixels.T).T


def _nd2_frames(path: Path, settings: Settings) -> Iterator[PixelArray]:  # noqa: ARG001
    with ND2File(path) as file:
        for number in range(file.attributes.sequenceCount):
            # A copy: what it gives is gone with the file.
            yield from np.atleast_3d(file.read_frame(number).T).T.copy()


_READINGS: Mapping[str, Callable[[Path, Settings], Iterator[PixelArray]]] = {
    **{name: _ours(name) for name in READERS},
    "tifffile pages": _tiff_pages,
    "nd2 frames": _nd2_frames,
}
