"""Olympus OIB: a compound document with a TIFF for each plane in it."""

import re
from collections.abc import Sequence

from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.inspection import Inspection
from imextract.readers.native import NativeReader
from imextract.readers.tiff_pages import only_plane

__all__ = ["OibReader"]

_INDEX = "OibInfo.txt"
_STREAM = re.compile(r"^(Stream\d+)=\S*/s_((?:[CZT]\d+)+)\.tif$", re.MULTILINE | re.IGNORECASE)
_NUMBER = re.compile(r"([CZT])(\d+)")


class OibReader(NativeReader):
    """An OIB file: one series, its planes the TIFFs by the numbers in their names.

    The container is opened with olefile, which stops where a damaged one leads
    round in circles.
    """

    format_name = "Olympus FV1000"

    @classmethod
    def may_read(cls, inspection: Inspection) -> bool:
        """Say whether a data set is an OIB; an OIF, of many files, is left to Bio-Formats."""
        return super().may_read(inspection) and inspection.path.suffix.lower() == ".oib"

    def _open(self) -> Sequence[SeriesStructure]:
        # Imported when it is needed only.
        from olefile import DEFECT_UNSURE, OleFileIO

        self._document = OleFileIO(self._stream, raise_defects=DEFECT_UNSURE)
        paths = {path[-1]: path for path in self._document.listdir()}
        index = self._document.openstream(paths[_INDEX]).read().decode("utf-16")
        named = {
            _place(name): paths[stream] for stream, name in _STREAM.findall(index.replace("\r", ""))
        }
        if not named:
            raise self._left_to_bioformats("no planes named by channel, focus and time")
        self._planes = named
        z, c, t = (1 + max(place[axis] for place in named) for axis in range(3))
        if len(named) != z * c * t:
            raise self._left_to_bioformats(f"{len(named)} planes, expected {z} x {c} x {t}")
        first = self._plane(next(iter(named)))
        height, width = first.shape
        return [SeriesStructure(width, height, z, c, t, first.dtype.name, "XYCZT")]

    def _decode(self, ref: PlaneRef) -> PixelArray:
        return self._plane(self._structure[0].zct(ref.plane))

    def _plane(self, place: tuple[int, int, int]) -> PixelArray:
        return only_plane(self._path, self._document.openstream(self._planes[place]))


def _place(name: str) -> tuple[int, int, int]:
    """Give the (zplane, channel, tpoint) that is in the name of a TIFF, counted from one."""
    told = {axis: int(number) - 1 for axis, number in _NUMBER.findall(name.upper())}
    return told.get("Z", 0), told.get("C", 0), told.get("T", 0)
