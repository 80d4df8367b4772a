"""The identifiers by which OME-TIFF files know each other, whatever they are called now."""

import re
from collections import defaultdict

from tifffile import TiffFile

from imextract.readers.source import open_source
from imextract.registration.files import FoundFiles

__all__ = ["OmeUuids"]

_HEAD = 4096
_DESCRIPTION = 270
_ROOT = re.compile(rb"<(?:\w+:)?OME\b[^>]*?\sUUID\s*=\s*[\"']\s*([^\"'>]*?)\s*[\"']")


class OmeUuids:
    """Gives the `UUID` of the OME element of files, each read once and when asked for.

    Parameters
    ----------
    found
        The files of the folder.
    suffixes
        How the names of files that may have an identifier end, in lower case.
    """

    def __init__(self, found: FoundFiles, suffixes: tuple[str, ...]) -> None:
        self._found = found
        self._suffixes = suffixes
        self._uuids: dict[str, str] = {}
        self._by_folder: dict[str, dict[str, list[str]]] = {}

    def of(self, path: str) -> str:
        """Give the identifier of a file; "" if it has none or cannot be read."""
        if path not in self._uuids:
            self._uuids[path] = self._read(path)
        return self._uuids[path]

    def file_of(self, folder: str, uuid: str) -> str | None:
        """Give the one file right in a folder that has an identifier."""
        if not uuid:
            return None
        if folder not in self._by_folder:
            self._by_folder[folder] = self._index(folder)
        paths = self._by_folder[folder].get(uuid, [])
        return paths[0] if len(paths) == 1 else None

    def _index(self, folder: str) -> dict[str, list[str]]:
        index: defaultdict[str, list[str]] = defaultdict(list)
        for path in self._found.files:
            if path.rpartition("/")[0] == folder and path.lower().endswith(self._suffixes):
                index[self.of(path)].append(path)
        return dict(index)

    def _read(self, path: str) -> str:
        try:
            head = self._head(path)
        except Exception:  # noqa: BLE001  tifffile meets damage with errors of any kind
            return ""
        match = _ROOT.search(head)
        return "" if match is None else match[1].decode("utf-8", "replace")

    def _head(self, path: str) -> bytes:
        """Give how the OME-XML of a file begins; it may go on for megabytes."""
        with open_source(self._found.folder / path) as stream:
            if path.lower().endswith(".ome"):
                return stream.read(_HEAD)
            tag = TiffFile(stream).pages.first.tags[_DESCRIPTION]
            stream.seek(tag.valueoffset)
            return stream.read(min(_HEAD, tag.count))
