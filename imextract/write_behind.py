"""Storing planes while the next ones are read and compressed."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from imextract.closing import Closing
from imextract.database.planes import PlaneRecord
from imextract.errors import StorageError
from imextract.store import FolderStore
from imextract.stored import EncodedPlane

__all__ = ["WriteBehind"]

# Files written at a time. A disk flushes several in hardly more time than one:
# 4 are stored four times as fast as one after the other, 8 no faster.
_WRITERS = 4
# Held in memory at a time, unless one plane is larger.
_MOST_BYTES = 64 * 2**20

Stored = tuple[PlaneRecord, EncodedPlane]


class WriteBehind(Closing):
    """Puts planes durably in their places, a few at a time.

    What is given back is stored: flushed to disk and under its final name.

    Parameters
    ----------
    store
        Where the planes go.
    replaces
        Put them in the places of those that are there.
    """

    def __init__(self, store: FolderStore, *, replaces: bool = False) -> None:
        self._store = store
        self._replaces = replaces
        self._threads = ThreadPoolExecutor(_WRITERS, "imextract-write")
        self._underway: deque[Future[Stored]] = deque()
        self._bytes = 0

    def add(self, plane: PlaneRecord, encoded: EncodedPlane) -> Iterator[Stored]:
        """Begin to store a plane; give what is stored meanwhile.

        Waits while too many are underway, so that memory stays bounded.

        Raises
        ------
        StorageError
            If one of those before cannot be written.
        """
        size = _held_bytes(encoded)
        while self._underway and self._is_full(size):
            yield self._next()
        self._bytes += size
        self._underway.append(self._threads.submit(self._put, plane, encoded))

    def rest(self) -> Iterator[Stored]:
        """Wait for all that is underway; what fails stops none of the others.

        Raises
        ------
        StorageError
            After all others, if one cannot be written.
        """
        failure: StorageError | None = None
        while self._underway:
            try:
                yield self._next()
            except StorageError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _is_full(self, size: int) -> bool:
        return len(self._underway) >= _WRITERS or self._bytes + size > _MOST_BYTES

    def _next(self) -> Stored:
        plane, encoded = self._underway.popleft().result()
        self._bytes -= _held_bytes(encoded)
        return plane, encoded

    def _put(self, plane: PlaneRecord, encoded: EncodedPlane) -> Stored:
        self._store.put(encoded.stored.location, encoded.content, replaces=self._replaces)
        return plane, encoded

    def close(self) -> None:
        """Wait for all that is underway and end the threads."""
        self._threads.shutdown()


def _held_bytes(encoded: EncodedPlane) -> int:
    """Give what a plane keeps of memory: its file was made in room for all of its pixels."""
    return max(encoded.pixel_bytes, len(encoded.content))
