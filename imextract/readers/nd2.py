"""Nikon ND2: frame after frame, the channels of a frame interleaved."""

import itertools
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.native import NativeReader
from imextract.readers.nd2_bombs import inflates_too_far
from imextract.readers.nd2_chunks import Nd2Chunks
from imextract.readers.read_ahead import Part
from imextract.readers.source import open_source, refuse_bomb

if TYPE_CHECKING:
    from nd2.structures import Attributes

__all__ = ["Nd2Reader"]

# A frame begins with its time.
_TIME_BYTES = 8
_METADATA = (b"ImageAttributesLV!", b"ImageMetadataLV!", b"ImageAttributes!", b"ImageMetadata!")
_MOST_METADATA_BYTES = 64 * 2**20
_KINDS = {"unsigned": "u", "float": "f"}
_AXES = {"XYPosLoop": "P", "TimeLoop": "T", "NETimeLoop": "T", "ZStackLoop": "Z"}


class Nd2Reader(NativeReader):
    """An ND2 file: its XY positions are series, their planes count c, z, t.

    The metadata are read with the package nd2; the frames by ourselves, as that
    gives zeros for a frame that is not there.
    """

    format_name = "Nikon ND2"

    def _open(self) -> Sequence[SeriesStructure]:
        self._chunks = Nd2Chunks(self._path, self._stream, self._length)
        self._refuse_bombs()
        # Imported when it is needed only: it takes longer than our command line.
        from nd2 import ND2File

        with open_source(self._path) as stream, ND2File(stream) as file:  # type: ignore[arg-type]  # any such stream will do
            self._attributes = attributes = file.attributes
            loops = [(_AXES.get(loop.type, loop.type), loop.count) for loop in file.experiment]
        self._channels = attributes.channelCount or 1
        self._dtype = self._pixel_type(attributes)
        self._frames = self._numbered_frames(loops)
        self._decoded: tuple[int, PixelArray] | None = None
        sizes = dict(loops)
        one = SeriesStructure(
            size_x=attributes.widthPx or 0,
            size_y=attributes.heightPx,
            size_z=sizes.get("Z", 1),
            size_c=self._channels,
            size_t=sizes.get("T", 1),
            dtype=self._dtype.name,
            dimension_order="XYCZT",
        )
        return (one,) * sizes.get("P", 1)

    def _refuse_bombs(self) -> None:
        """Leave alone what the package nd2 would decode whatever it takes."""
        for name in _METADATA:
            if name not in self._chunks:
                continue
            content = self._chunks.read(name, _MOST_METADATA_BYTES)
            if inflates_too_far(content, _MOST_METADATA_BYTES):
                raise self._left_to_bioformats(
                    f"{name.decode()} of more than {_MOST_METADATA_BYTES} bytes"
                )

    def _pixel_type(self, attributes: "Attributes") -> "np.dtype[np.generic]":
        kind = _KINDS.get(attributes.pixelDataType)
        bits = attributes.bitsPerComponentInMemory
        if kind is None or bits % 8 or attributes.componentCount != self._channels:
            raise self._left_to_bioformats(
                f"{attributes.componentCount} components of {bits} bits "
                f"({attributes.pixelDataType}) in {self._channels} channels"
            )
        if attributes.compressionType not in (None, "lossless") or attributes.tileWidthPx not in (
            None,
            attributes.widthPx,
        ):
            raise self._left_to_bioformats(
                f"{attributes.compressionType} compression in tiles of {attributes.tileWidthPx}"
            )
        return np.dtype(f"<{kind}{bits // 8}")

    def _numbered_frames(self, loops: list[tuple[str, int]]) -> dict[tuple[int, ...], int]:
        """Give the number of the frame at each position, time and focus."""
        axes = [axis for axis, _ in loops]
        frames = math.prod(count for _, count in loops)
        is_known = set(axes) <= set("PTZ") and len(set(axes)) == len(axes)
        # None of a loop makes nothing of a billion of another.
        is_known = is_known and all(count > 0 for _, count in loops)
        if not is_known or not frames == self._attributes.sequenceCount <= len(self._chunks):
            raise self._left_to_bioformats(
                f"{self._attributes.sequenceCount} frames in the loops {loops}; "
                "expected whole loops over position, time and focus"
            )
        places = itertools.product(*(range(count) for _, count in loops))
        at = (dict(zip(axes, place, strict=True)) for place in places)
        return {tuple(one.get(axis, 0) for axis in "PTZ"): number for number, one in enumerate(at)}

    def _decode(self, ref: PlaneRef) -> PixelArray:
        zplane, channel, tpoint = self._structure[ref.series].zct(ref.plane)
        number = self._frames[ref.series, tpoint, zplane]
        if self._decoded is None or self._decoded[0] != number:
            self._decoded = number, self._frame(number)
        return self._decoded[1][:, :, channel]

    def _parts(self, ref: PlaneRef) -> Iterable[Part]:
        zplane, _, tpoint = self._structure[ref.series].zct(ref.plane)
        number = self._frames[ref.series, tpoint, zplane]
        if self._decoded is None or self._decoded[0] != number:
            most = self._structure[ref.series].plane_bytes * self._channels
            yield from self._chunks.parts(_frame_name(number), most)

    def _frame(self, number: int) -> PixelArray:
        """Read a frame of shape (height, width, channels)."""
        attributes = self._attributes
        height, width = attributes.heightPx, attributes.widthPx or 0
        used = width * self._channels * self._dtype.itemsize
        # Rows may be padded.
        row = max(attributes.widthBytes or used, used)
        content = self._chunks.read(_frame_name(number))[_TIME_BYTES:]
        if attributes.compressionType == "lossless":
            refuse_bomb(f"{self._path}: frame {number}", height * row, len(content))
            content = zlib.decompressobj().decompress(content, height * row)
        rows = np.frombuffer(content, np.uint8, height * row).reshape(height, row)
        pixels = np.ascontiguousarray(rows[:, :used]).view(self._dtype)
        frame: PixelArray = pixels.reshape(height, width, self._channels)
        return frame


def _frame_name(number: int) -> bytes:
    return b"ImageDataSeq|%d!" % number
