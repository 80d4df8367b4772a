"""Shared memory through which the pixels of planes come from another process."""

import mmap
import os
import queue
from collections.abc import Sequence

__all__ = ["SlotView", "Slots"]


class SlotView:
    """One piece of shared memory, mapped anew when it has grown."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    def grow(self, size: int) -> None:
        """Make the memory at least `size` bytes long, for both processes."""
        if os.fstat(self._descriptor).st_size < size:
            os.ftruncate(self._descriptor, size)

    def memory(self) -> mmap.mmap:
        """Give the memory in its present length."""
        size = os.fstat(self._descriptor).st_size
        if self._map is None or len(self._map) != size:
            self._map = mmap.mmap(self._descriptor, size)
        return self._map


class Slots:
    """The two slots of a process: one plane is read while another is used."""

    def __init__(self) -> None:
        self.descriptors: Sequence[int] = tuple(
            os.memfd_create(f"imextract-plane-{number}") for number in range(2)
        )
        self._views = [SlotView(descriptor) for descriptor in self.descriptors]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(self.descriptors)):
            self._free.put(number)

    def take(self, size: int, *, wait: bool) -> int | None:
        """Take a free slot of at least `size` bytes; None if there is none.

        Parameters
        ----------
        wait
            Whether to wait for a slot, and never give None.
        """
        try:
            number = self._free.get(block=wait)
        except queue.Empty:
            return None
        self._views[number].grow(size)
        return number

    def release(self, number: int) -> None:
        """Give a slot back."""
        self._free.put(number)

    def memory(self, number: int) -> mmap.mmap:
        """Give the memory of a slot that was taken."""
        return self._views[number].memory()

    def close(self) -> None:
        """Give the memory back to the system."""
        self._views.clear()
        for descriptor in self.descriptors:
            os.close(descriptor)
