"""A file that is made in memory, where the disk can take it from as it is."""

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

    @property
    def content(self) -> memoryview:
        """What was written, without a copy."""
        return self._blocks[: self._end]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to where is written or read next: of the beginning, or (2) of the end."""
        self._at = offset if whence == 0 else self._end + offset
        return self._at

    def tell(self) -> int:
        """Tell where is written or read next."""
        return self._at

    def write(self, content: memoryview) -> int:
        """Write bytes, beyond the end too."""
        end = self._at + len(content)
        if end > len(self._blocks):
            larger = blocks(end + end // 4)
            larger[: self._end] = self.content
            self._blocks = larger
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
        """End it there; what it then has more is nothing in particular."""
        self._end = size
        return size

    def flush(self) -> None:
        """Do nothing: it is all there."""
