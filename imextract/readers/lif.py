"""Leica LIF: every image one block of memory, its planes in the order of the block."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imextract.errors import SourceFileError
from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.native import NativeReader
from imextract.readers.read_ahead import Part

if TYPE_CHECKING:
    from liffile import LifImageABC

__all__ = ["LifReader"]


class LifReader(NativeReader):
    """A LIF file, read with the package liffile: its images are series.

    Whatever the dimensions beyond the two of a plane are, wavelengths for one,
    Bio-Formats numbers planes as they lie in the file; here they count as time.
    """

    format_name = "Leica Image File Format"
    knows_dimensions = False

    def _open(self) -> Sequence[SeriesStructure]:
        # Imported when it is needed only.
        from liffile import LifFile, LifFileType

        file = LifFile(self._stream)
        if file.type != LifFileType.LIF:
            raise self._left_to_bioformats(f"a file of type {file.type.name}, not LIF")
        self._images = tuple(file.images)
        return [self._series(image) for image in self._images]

    def _series(self, image: "LifImageABC") -> SeriesStructure:
        block = image.memory_block
        *_, height, width = image.shape
        planes = len(image.frames) if not image.is_flim else 0
        is_plain = not image.is_flim and tuple(image.frames.frame_shape) == (height, width)
        if not is_plain or image.nbytes != block.size or "M" in image.sizes:
            raise self._left_to_bioformats(
                f"image {image.path!r} of {image.sizes} in {block.size} bytes; "
                "expected planes one after the other"
            )
        if block.offset + block.size > self._length:
            raise SourceFileError(
                f"{self._path}: image {image.path!r} ends at byte {block.offset + block.size}, "
                f"but the file has {self._length}; replace it by a whole one"
            )
        return SeriesStructure(width, height, 1, 1, planes, image.dtype.name, "XYCZT")

    def _decode(self, ref: PlaneRef) -> PixelArray:
        plane: PixelArray = self._images[ref.series].frames[ref.plane]
        return plane

    def _parts(self, ref: PlaneRef) -> Iterable[Part]:
        block = self._images[ref.series].memory_block
        size = block.size // self._structure[ref.series].plane_count
        return [(block.offset + ref.plane * size, size)]
