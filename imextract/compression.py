"""Compression presets of stored planes, by name.

A preset is plain data, so that naming one needs neither HDF5 nor its
plug-ins. Numbers of the HDF5 filters are those registered with The HDF Group
(https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = [
    "BLOSC",
    "DEFLATE",
    "JPEG_LS",
    "PRESETS",
    "ZSTANDARD",
    "CompressionName",
    "Pipeline",
    "Preset",
]

DEFLATE = 1
BLOSC = 32001
ZSTANDARD = 32015
JPEG_LS = 32018

CompressionName = Literal["zstd", "lz4", "gzip", "archive", "none"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Filters of HDF5, which a checksum follows.

    Attributes
    ----------
    filter_number
        Registered number of the compression filter; None for no compression.
    filter_options
        The filter's client data.
    is_shuffled
        True if HDF5's own byte shuffle goes first.
    least_bytes, most_bytes
        Smallest and largest pixels that it is for.
    """

    filter_number: int | None
    filter_options: tuple[int, ...] = ()
    is_shuffled: bool = False
    least_bytes: int = 1
    most_bytes: int = 8

    def is_for(self, pixel_bytes: int) -> bool:
        """Tell whether it is for pixels of so many bytes."""
        return self.least_bytes <= pixel_bytes <= self.most_bytes


@dataclass(frozen=True, slots=True)
class Preset:
    """What a user chooses: a pipeline for each size of pixels, or the best of several."""

    summary: str
    pipelines: tuple[Pipeline, ...]


_ZSTD_9 = Pipeline(ZSTANDARD, (9,), is_shuffled=True)

# Rates and ratios: docs/stored-planes.md. Options of Blosc 1: four reserved values, level,
# shuffle (2: of bits), compressor (1: LZ4, 5: Zstandard).
PRESETS = MappingProxyType(
    {
        # By bits, those that are noise lie together, and Zstandard soon passes over them: half as
        # fast again as behind HDF5's shuffle of bytes, and as small. Pixels of one byte have
        # too few bits that are none.
        "zstd": Preset(
            "Blosc Zstandard 1 with bit shuffle, pixels of 8 bits by Zstandard 1",
            (
                Pipeline(ZSTANDARD, (1,), most_bytes=1),
                Pipeline(BLOSC, (0, 0, 0, 0, 1, 2, 5), least_bytes=2),
            ),
        ),
        # By bits, since LZ4 has no coding of its own for values that are merely frequent, as
        # those of noise are.
        "lz4": Preset("Blosc LZ4 5 with bit shuffle", (Pipeline(BLOSC, (0, 0, 0, 0, 5, 2, 1)),)),
        "gzip": Preset("shuffle + gzip 4", (Pipeline(DEFLATE, (4,), is_shuffled=True),)),
        # JPEG-LS foresees a pixel by its neighbours, which is best for what a
        # camera saw, but not for what was computed, and it ends at 16 bits.
        "archive": Preset(
            "JPEG-LS, or shuffle + Zstandard 9 where that is smaller",
            (Pipeline(JPEG_LS, most_bytes=2), _ZSTD_9),
        ),
        "none": Preset("no compression", (Pipeline(None),)),
    }
)
