"""Every pixel plane of vendor microscope files, compressed, verified, addressable.

Public names are loaded when they are first used, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imextract.batches import ImextractBatchArguments
    from imextract.channel_image_file import ChannelImageFile
    from imextract.config import Settings
    from imextract.extractor import ImageExtractor

__all__ = [
    "ChannelImageFile",
    "ImageExtractor",
    "ImextractBatchArguments",
    "Settings",
    "__version__",
]

__version__ = "0.1.0"

_HOMES = {
    "ChannelImageFile": "imextract.channel_image_file",
    "ImageExtractor": "imextract.extractor",
    "ImextractBatchArguments": "imextract.batches",
    "Settings": "imextract.config",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'imextract' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
