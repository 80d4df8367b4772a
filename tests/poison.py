"""Files that end whatever process reads them, as a fault in native code does; slow ones."""

import os
from pathlib import Path

_PATCH = """
import os, signal, time
import imextract.readers.tiff as tiff

_read = tiff.TiffReader.read_plane

def read_plane(self, ref):
    if os.path.basename(self._path).startswith("poison"):
        os.kill(os.getpid(), signal.SIGSEGV)
    while os.path.basename(self._path).startswith("slow") and not os.path.exists(GO):
        time.sleep(0.1)
    return _read(self, ref)

tiff.TiffReader.read_plane = read_plane
"""


def poisoned(folder: Path) -> dict[str, str]:
    """Give an environment whose processes die of TIFF files named poison….

    Those named slow… are read when there is a file `go` in the folder.
    """
    folder.mkdir()
    # Python runs this as it starts, in whichever process.
    (folder / "sitecustomize.py").write_text(f"GO = {str(folder / 'go')!r}\n{_PATCH}")
    root = str(Path(__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join([str(folder), root])}
