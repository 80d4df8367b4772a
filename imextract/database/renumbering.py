"""Keeping registered planes where they are when a folder is registered again.

The indices of a manifest are ranks: a file that sorts between old ones shifts
those after it. What is registered never moves, so each axis of an acquisition
gets a map from the manifest's indices to those of the ledger, learned from the
planes that both know, and extended for what is new.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

__all__ = ["Axis", "Renumbering"]


@dataclass(slots=True)
class Axis:
    """One axis: from the manifest's indices to the ledger's.

    `in_use` are indices of the ledger that a plane other than an absent one has.
    """

    in_use: set[int] = field(default_factory=set)
    known: dict[int, int] = field(default_factory=dict)
    is_extended: bool = False
    is_learned: bool = False

    def learn(self, ours: int, theirs: int) -> bool:
        """Take down that a plane of both lies at these; False if others contradict."""
        self.is_learned = True
        if ours in self.known:
            return self.known[ours] == theirs
        if theirs in self.known.values():
            return False
        self.known[ours] = theirs
        return True

    def place(self, ours: int) -> int:
        """Give the index in the ledger, which for something new is a new one.

        Raises
        ------
        LookupError
            If planes lie on the axis, but none of them is in the manifest: what
            the manifest's ranks mean is then anyone's guess.
        """
        if ours not in self.known:
            if self.in_use and not self.is_learned:
                raise LookupError(f"nothing is known to lie beside {ours}")
            taken = self.in_use.union(self.known.values())
            wanted = self._beside_neighbour(ours)
            is_free = wanted >= 0 and wanted not in taken
            self.is_extended |= not is_free
            self.known[ours] = wanted if is_free else max(taken) + 1
        return self.known[ours]

    def _beside_neighbour(self, ours: int) -> int:
        """Count on from the nearest known index below, else back from one above."""
        if not self.known:
            return ours
        below = [index for index in self.known if index < ours]
        neighbour = max(below) if below else min(self.known)
        return self.known[neighbour] + ours - neighbour


@dataclass(slots=True)
class Renumbering:
    """The axes of the acquisitions that were there before, by any name."""

    axes: dict[Hashable, Axis] = field(default_factory=dict)

    def axis(self, *name: Hashable) -> Axis:
        """Give an axis; it is empty when asked for first."""
        return self.axes.setdefault(name, Axis())
