"""Zeiss CZI: every plane one sub-block, with its coordinates in the directory."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.czi_blocks import CziBlock, read_block, read_directory
from imextract.readers.native import NativeReader
from imextract.readers.read_ahead import Part

__all__ = ["CziReader"]

_PLANE_AXES = ("S", "Z", "C", "T")
# Extents of others, of mosaics for one, Bio-Formats puts together in ways of its own.
_AXES = frozenset({"X", "Y", "M", *_PLANE_AXES})


class CziReader(NativeReader):
    """A CZI file: its scenes are series; smaller copies for viewing are passed over.

    Mosaics, and all that has not exactly one sub-block for each plane, are
    left to Bio-Formats.
    """

    format_name = "Zeiss CZI"

    def _open(self) -> Sequence[SeriesStructure]:
        blocks = [b for b in read_directory(self._path, self._stream) if not b.is_reduced]
        self._blocks = {_place(block): block for block in blocks}
        if not blocks or len(self._blocks) != len(blocks):
            raise self._left_to_bioformats(
                f"{len(blocks)} sub-blocks for {len(self._blocks)} planes, as of a mosaic"
            )
        for block in blocks:
            self._check(block)
        counts = [1 + max(place[axis] for place in self._blocks) for axis in range(4)]
        scenes, z, c, t = counts
        if len(blocks) != scenes * z * c * t:
            raise self._left_to_bioformats(
                f"{len(blocks)} sub-blocks; expected {scenes} scenes of {z} x {c} x {t} planes"
            )
        return [self._scene(scene, (z, c, t)) for scene in range(scenes)]

    def _check(self, block: CziBlock) -> None:
        extents = {axis: size for axis, size in block.sizes.items() if axis not in ("X", "Y")}
        strange = {
            axis
            for axis, size in extents.items()
            if size != 1 or (axis not in _AXES and block.starts[axis] != 0)
        }
        if strange or not block.is_decodable or min(_place(block)) < 0:
            raise self._left_to_bioformats(
                f"a sub-block of {block.sizes} from {block.starts}, "
                f"pixel type {block.pixel_type}, compression {block.compression}"
            )

    def _scene(self, scene: int, counts: tuple[int, int, int]) -> SeriesStructure:
        kinds: defaultdict[tuple[tuple[int, int, int], int], int] = defaultdict(int)
        for place, block in self._blocks.items():
            if place[0] == scene:
                kinds[block.shape, block.pixel_type] += 1
        if len(kinds) != 1:
            raise self._left_to_bioformats(f"planes of {len(kinds)} sizes or types in a scene")
        block = self._blocks[scene, 0, 0, 0]
        height, width, samples = block.shape
        z, c, t = counts
        dtype = str(block.dtype)
        return SeriesStructure(width, height, z, c * samples, t, dtype, "XYCZT")

    def _decode(self, ref: PlaneRef) -> PixelArray:
        block, sample = self._place_of(ref)
        # Stored blue first; red is the first channel.
        return read_block(self._path, self._stream, block)[:, :, block.samples - 1 - sample]

    def _parts(self, ref: PlaneRef) -> Iterable[Part]:
        block, _ = self._place_of(ref)
        # Beside what stands before them; of compressed pixels, the next block is part of it.
        return [(block.offset, self._structure[ref.series].plane_bytes * block.samples)]

    def _place_of(self, ref: PlaneRef) -> tuple[CziBlock, int]:
        """Give the block that a plane lies in, and which of its samples it is."""
        zplane, channel, tpoint = self._structure[ref.series].zct(ref.plane)
        channel, sample = divmod(channel, self._blocks[ref.series, 0, 0, 0].samples)
        return self._blocks[ref.series, zplane, channel, tpoint], sample


def _place(block: CziBlock) -> tuple[int, int, int, int]:
    scene, zplane, channel, tpoint = (block.starts.get(axis, 0) for axis in _PLANE_AXES)
    return scene, zplane, channel, tpoint
