"""Names for Java: its file names are text, ours are bytes.

A file whose name is no UTF-8 gets another name through symbolic links in a
folder of our own. Its whole folder is linked, so that Bio-Formats finds the
other files of the data set.
"""

import os
import tempfile
from pathlib import Path

from imextract.closing import Closing

__all__ = ["Utf8Names"]


class Utf8Names(Closing):
    """Translates one file's path, and the paths beside it, to UTF-8 and back.

    Parameters
    ----------
    path
        Absolute path of the file that is opened.
    """

    def __init__(self, path: Path) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._links: dict[str, str] = {}
        self.name = str(path) if _is_utf8(str(path)) else self._linked(path)

    def path(self, name: str) -> Path:
        """Give the path that Bio-Formats calls by a name."""
        if self._folder is not None and name.startswith(self._folder.name + os.sep):
            head, _, rest = name[len(self._folder.name) + 1 :].partition(os.sep)
            if head in self._links:
                return Path(self._links[head], rest)
        return Path(name)

    def close(self) -> None:
        """Remove the links."""
        if self._folder is not None:
            self._folder.cleanup()

    def _linked(self, path: Path) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="imextract-")
        links = Path(self._folder.name)
        if _is_utf8(path.name):
            self._link(links / "folder", path.parent)
            return str(links / "folder" / path.name)
        for beside in sorted(path.parent.iterdir()):
            self._link(links / _readable(beside.name), beside)
        return str(links / _readable(path.name))

    def _link(self, link: Path, target: Path) -> None:
        if link.name not in self._links:
            link.symlink_to(target)
            self._links[link.name] = str(target)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    # Latin-1 has a letter for every byte, and is what such names mostly are.
    return name if _is_utf8(name) else os.fsencode(name).decode("latin-1")
