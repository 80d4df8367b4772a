"""A file that is made in memory, where the disk can take it from as it is."""

import os

from imextract.durable import blocks

__all__ = ["FileImage"]


class FileImage:
    """What HDF5 writes to as to a file, in memory of whole blocks.

    Parameters
    ----------
    room
        How many bytes are expected; beyond them it grows, which costs a copy.
    """

    def __init__(self, room: int) -> None:
        self._blocks = blocks(room)
        self._at = 0
        self._end = 0
        self._failure: MemoryError | None = None

    @property
    def content(self) -> memoryview:
        """What was written, without a copy.

        Raises
        ------
        MemoryError
            If something of it could not be kept.
        """
        if self._failure is not None:
            raise self._failure
        return self._blocks[: self._end]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to where is written or read next, counted from the beginning or the end."""
        self._at = {os.SEEK_SET: 0, os.SEEK_END: self._end}[whence] + offset
        return self._at

    def tell(self) -> int:
        """Tell where is written or read next."""
        return self._at

    def write(self, content: memoryview) -> int:
        """Write bytes, beyond the end too: what is skipped is zeros."""
        end = self._at + len(content)
        if self._has_room(end):
            self._fill_up(self._at)
            self._blocks[self._at : end] = content
        self._at, self._end = end, max(end, self._end)
        return len(content)

    def readinto(self, target: memoryview) -> int:
        """Read bytes."""
        found = self._blocks[self._at : min(self._at + len(target), self._end)]
        target[: len(found)] = found
        self._at += len(found)
        return len(found)

    def truncate(self, size: int) -> int:
        """End it there; what it then has more is zeros."""
        if self._has_room(size):
            self._fill_up(size)
        self._end = size
        return size

    def _has_room(self, size: int) -> bool:
        try:
            if size > len(self._blocks):
                larger = blocks(size + size // 4)
                larger[: self._end] = self._blocks[: self._end]
                self._blocks = larger
        except MemoryError as error:
            # Not raised: h5py would go on with it pending, and HDF5 tell of something else.
            self._failure = error
        return self._failure is None

    def _fill_up(self, start: int) -> None:
        if start > self._end:
            self._blocks[self._end : start] = bytes(start - self._end)

    def flush(self) -> None:
        """Do nothing: it is all there."""
