"""Compression presets of stored planes, by name.

A preset is plain data, so that naming one needs neither HDF5 nor its
plug-ins. Numbers of the HDF5 filters are those registered with The HDF Group
(https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["BLOSC", "DEFLATE", "PRESETS", "ZSTANDARD", "CompressionName", "Preset"]

DEFLATE = 1
BLOSC = 32001
ZSTANDARD = 32015

CompressionName = Literal["zstd", "lz4", "gzip", "none"]


@dataclass(frozen=True, slots=True)
class Preset:
    """An HDF5 filter pipeline.

    Attributes
    ----------
    filter_number
        Registered number of the compression filter; None for no compression.
    filter_options
        The filter's client data.
    is_shuffled
        True if HDF5's own byte shuffle goes first.
    """

    summary: str
    filter_number: int | None
    filter_options: tuple[int, ...]
    is_shuffled: bool


# Rates and ratios: docs/stored-planes.md.
PRESETS = MappingProxyType(
    {
        "zstd": Preset("shuffle + Zstandard 1", ZSTANDARD, (1,), True),
        # Blosc 1: four reserved values, level 5, byte shuffle, LZ4.
        "lz4": Preset("Blosc LZ4 with shuffle", BLOSC, (0, 0, 0, 0, 5, 1, 1), False),
        "gzip": Preset("shuffle + gzip 4", DEFLATE, (4,), True),
        "none": Preset("no compression", None, (), False),
    }
)
