"""What planes are in what a tool wrote: ``python stamped_planes.py FOLDER MOST_IMAGES``.

Run in the tool's own environment if that is what can read its files; so it needs little.
The planes of our simulated plates begin with a stamp, so that they are found
wherever a tool has put them, beside others in a mosaic too; an image without a stamp
is one plane. Prints a JSON list: stamp, and SHA-256 of the pixels as little-endian
16 bits.
"""

import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = (0x1DE, 0xA7A)
STAMP = 9
SIZE = 2048

Pixels = NDArray[np.generic]
# Gives the pixels of an image, which may be many planes side by side.
Image = Callable[[], Pixels]


def images(folder: Path) -> Iterator[Image]:
    """Give the images of every file, and of every Zarr array of full resolution, below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".tif", ".tiff"):
            yield partial(_tiff, path)
        elif path.suffix == ".h5":
            yield partial(_hdf5, path)
        # The levels of a pyramid are named by their number.
        elif path.name in (".zarray", "zarr.json") and path.parent.name == "0":
            yield from _zarr(path)


def _tiff(path: Path) -> Pixels:
    import tifffile

    return np.asarray(tifffile.imread(path, key=0))


def _hdf5(path: Path) -> Pixels:
    import h5py

    with h5py.File(path) as file:
        return np.asarray(file["array"])


def _zarr(metadata: Path) -> Iterator[Image]:
    if json.loads(metadata.read_text(encoding="utf-8")).get("node_type", "array") != "array":
        return
    import zarr  # type: ignore[import-not-found]  # in the tool's environment

    array: Any = zarr.open(str(metadata.parent), mode="r")
    if array.ndim >= 2 and min(array.shape[-2:]) >= SIZE:
        for index in itertools.product(*map(range, array.shape[:-2])):
            yield partial(array.__getitem__, index)


def stamped(pixels: Pixels) -> Iterator[tuple[list[int], str]]:
    """Give stamp and checksum of the planes of an image."""
    pixels = np.squeeze(pixels)
    places = np.argwhere((pixels[:, :-1] == MAGIC[0]) & (pixels[:, 1:] == MAGIC[1]))
    planes = [pixels[y : y + SIZE, x : x + SIZE] for y, x in places]
    # Some pixels look like the beginning of a stamp by chance.
    for plane in [plane for plane in planes if plane.shape == (SIZE, SIZE)] or [pixels]:
        content = np.ascontiguousarray(plane, "<u2").tobytes()
        yield plane[0, :STAMP].tolist(), hashlib.sha256(content).hexdigest()


def main() -> None:
    """Print the planes of some images, evenly taken from all."""
    found = list(images(Path(sys.argv[1])))
    step = max(1, len(found) // int(sys.argv[2]))
    print(json.dumps([plane for image in found[::step] for plane in stamped(image())]))


if __name__ == "__main__":
    main()
