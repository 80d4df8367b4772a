"""Some planes of an experiment on one picture, read as consumers read them."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from imextract import ChannelImageFile, Settings
from imextract.planes import PixelArray
from imextract.simulation.lettering import LETTERS, render_lines

_COLUMNS, _ROWS = 4, 4
_LONGEST_SIDE = 300
_CAPTION = 20
_GAP = 4
_MOST_READ = 8192


@dataclass
class ContactSheet:
    """A choice of an experiment's extracted planes, and the bytes of all of them.

    A row shows a channel, its columns are spread evenly over the experiment.
    """

    rows: list[list[ChannelImageFile]] = field(default_factory=list)
    pixel_bytes: int = 0
    stored_bytes: int = 0

    @classmethod
    def of(cls, experiment_id: int, settings: Settings) -> Self:
        """Choose planes."""
        sheet = cls()
        counts: Counter[str] = Counter()
        for image in ChannelImageFile.find(experiment_id, settings, state="extracted"):
            record = image.record
            counts[record.channel] += 1
            sheet.pixel_bytes += record.height * record.width * np.dtype(record.dtype).itemsize
            sheet.stored_bytes += record.stored_bytes or 0
        for channel, count in islice(counts.items(), _ROWS):
            found = ChannelImageFile.find(
                experiment_id, settings, state="extracted", channel=channel
            )
            sheet.rows.append(list(islice(found, 0, None, -(-count // _COLUMNS))))
        return sheet

    def write(self, path: Path) -> Path:
        """Write the picture as PNG."""
        tiles = [[_tile(image) for image in row] for row in self.rows]
        shapes = [tile.shape for row in tiles for tile in row]
        height, width = (max(sides) + _GAP for sides in zip(*shapes, strict=True))
        columns = max(map(len, tiles))
        picture = np.zeros((height * len(tiles), width * columns), np.uint8)
        for y, row in enumerate(tiles):
            for x, tile in enumerate(row):
                top, left = y * height, x * width
                picture[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        path.write_bytes(imagecodecs.png_encode(picture))
        return path


def _tile(image: ChannelImageFile) -> NDArray[np.uint8]:
    record = image.record
    side = slice(0, _MOST_READ)
    picture = _contrasted(_shrunk(image.get(y=side, x=side)))
    words = f"{record.well} S{record.site} {record.channel} Z{record.zplane} T{record.tpoint}"
    caption = "".join(letter if letter in LETTERS else " " for letter in words.upper())
    ink = render_lines([caption[:40]], 3 * _CAPTION, _LONGEST_SIDE)[:_CAPTION]
    tile = np.zeros((_CAPTION + picture.shape[0], max(picture.shape[1], ink.shape[1])), np.uint8)
    tile[_CAPTION:, : picture.shape[1]] = picture
    tile[: ink.shape[0], : ink.shape[1]][ink] = 255
    return tile


def _shrunk(pixels: PixelArray) -> NDArray[np.float64]:
    """Average blocks of pixels until the plane fits a tile."""
    factor = -(-max(pixels.shape) // _LONGEST_SIDE)
    height, width = (max(1, side // factor) for side in pixels.shape)
    blocks = pixels[: height * factor, : width * factor].astype(np.float64)
    shrunk: NDArray[np.float64] = blocks.reshape(
        height, blocks.shape[0] // height, width, blocks.shape[1] // width
    ).mean(axis=(1, 3))
    return shrunk


def _contrasted(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    known = np.nan_to_num(pixels, posinf=0, neginf=0)
    low, high = np.percentile(known, [0.5, 99.5])
    scaled = (known - low) / max(high - low, 1e-12)
    grey: NDArray[np.uint8] = (np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return grey
