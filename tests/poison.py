"""A file that ends whatever process reads it, as a fault in native code does."""

import os
from pathlib import Path

_PATCH = """
import os, signal
import imextract.readers.tiff as tiff

_read = tiff.TiffReader.read_plane

def read_plane(self, ref):
    if os.path.basename(self._path).startswith("poison"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return _read(self, ref)

tiff.TiffReader.read_plane = read_plane
"""


def poisoned(folder: Path) -> dict[str, str]:
    """Give an environment whose processes die of TIFF files named poison…"""
    folder.mkdir()
    # Python runs this as it starts, in whichever process.
    (folder / "sitecustomize.py").write_text(_PATCH)
    root = str(Path(__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join([str(folder), root])}
