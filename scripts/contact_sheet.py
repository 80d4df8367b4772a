"""Some planes of an experiment on one picture, read as consumers read them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from imextract import ChannelImageFile, Settings
from imextract.planes import PixelArray
from imextract.simulation.lettering import LETTERS, render_lines

_COLUMNS, _ROWS = 4, 3
_TILE = 320
_CAPTION = 24
_LARGEST_SIDE = 8192


@dataclass
class ContactSheet:
    """A choice of an experiment's extracted planes, and the bytes of all of them."""

    images: list[ChannelImageFile] = field(default_factory=list)
    pixel_bytes: int = 0
    stored_bytes: int = 0

    @classmethod
    def of(cls, experiment_id: int, settings: Settings, extracted: int) -> Self:
        """Choose planes, spread evenly over the experiment."""
        sheet = cls()
        step = max(1, extracted / (_COLUMNS * _ROWS))
        found = ChannelImageFile.find(experiment_id, settings, state="extracted")
        for index, image in enumerate(found):
            record = image.record
            sheet.pixel_bytes += record.height * record.width * np.dtype(record.dtype).itemsize
            sheet.stored_bytes += record.stored_bytes or 0
            if index >= len(sheet.images) * step and len(sheet.images) < _COLUMNS * _ROWS:
                sheet.images.append(image)
        return sheet

    def write(self, path: Path) -> Path:
        """Write the picture as PNG."""
        tiles = [_tile(image) for image in self.images]
        blank = np.zeros_like(tiles[0])
        columns = min(_COLUMNS, len(tiles))
        tiles += [blank] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)]
        path.write_bytes(imagecodecs.png_encode(np.vstack(rows)))
        return path


def _tile(image: ChannelImageFile) -> NDArray[np.uint8]:
    record = image.record
    side = slice(0, _LARGEST_SIDE)
    tile = np.zeros((_CAPTION + _TILE + 4, _TILE + 4), np.uint8)
    picture = _contrasted(_shrunk(image.get(y=side, x=side)))
    tile[_CAPTION : _CAPTION + picture.shape[0], 2 : 2 + picture.shape[1]] = picture
    words = f"{record.well} S{record.site} {record.channel} Z{record.zplane} T{record.tpoint}"
    caption = "".join(letter if letter in LETTERS else " " for letter in words.upper())
    ink = render_lines([caption[:48]], 3 * _CAPTION, _TILE)[:_CAPTION]
    tile[: ink.shape[0], 2 : 2 + ink.shape[1]][ink] = 255
    return tile


def _shrunk(pixels: PixelArray) -> NDArray[np.float64]:
    """Average blocks of pixels until the plane fits a tile."""
    factor = -(-max(pixels.shape) // _TILE)
    height, width = (max(1, side // factor) for side in pixels.shape)
    blocks = pixels[: height * factor, : width * factor].astype(np.float64)
    shrunk: NDArray[np.float64] = blocks.reshape(
        height, blocks.shape[0] // height, width, blocks.shape[1] // width
    ).mean(axis=(1, 3))
    return shrunk


def _contrasted(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = np.percentile(np.nan_to_num(pixels), [0.5, 99.5])
    scaled = (np.nan_to_num(pixels) - low) / max(high - low, 1e-12)
    grey: NDArray[np.uint8] = (np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return grey
