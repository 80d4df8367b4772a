"""What the numbered wells of a ScanR are called."""

from collections.abc import Iterator

from imextract.registration.manifest import Problem
from imextract.registration.microscopes.scanr_descriptor import ScanrDescriptor
from imextract.registration.wells import parse_well_name, well_name

__all__ = ["WellNames"]

# (rows, columns) of plates; wells are numbered row by row.
_PLATES = ((8, 12), (16, 24), (32, 48), (48, 72))


class WellNames:
    """Names wells: as their images do, else the descriptor, else by counting rows.

    Parameters
    ----------
    entry
        The file that problems are told of.
    descriptor
        What the descriptor says; empty where there is none.
    """

    def __init__(self, entry: str, descriptor: ScanrDescriptor) -> None:
        self._entry = entry
        self._shape = self._plate_shape(descriptor)
        self._of_table = {
            number: name
            for number, label in descriptor.wells.items()
            if (name := _well(label)) is not None
        }
        self._labels: dict[int, set[str]] = {}
        self._declared = set(descriptor.wells)

    def add(self, number: int, label: str) -> None:
        """Note the number of an image, and the label that its name begins with."""
        labels = self._labels.setdefault(number, set())
        name = _well(label)
        if name is not None:
            labels.add(name)

    def name(self, number: int) -> str:
        """Name a well."""
        labels = self._labels.get(number)
        if labels:
            return min(labels)
        if number in self._of_table:
            return self._of_table[number]
        rows, columns = self._shape or self._guessed_shape()
        row, column = divmod(number - 1, columns)
        # Else no well: the checks of the manifest refuse such a name.
        return well_name(row, column) if 0 <= row < rows else f"W{number:05d}"

    def problems(self) -> Iterator[Problem]:
        """Say what is not certain about the names."""
        yield from self._contradictions()
        unnamed = sorted(set(self._labels) - self._of_table.keys() - self._labelled())
        if unnamed and max(unnamed) > 1 and self._shape is None:
            rows, columns = self._guessed_shape()
            text = (
                f"wells are numbered {unnamed[0]} to {unnamed[-1]}, and nothing tells the plate: "
                f"taken as {rows} rows of {columns} wells; put experiment_descriptor.xml beside "
                "the images if that is wrong"
            )
            yield Problem("warning", self._entry, text)
        missing = sorted(self._declared - self._labels.keys())
        if missing:
            text = (
                f"{len(missing)} wells were selected, but have no images, such as well "
                f"{missing[0]} ({self.name(missing[0])})"
            )
            yield Problem("warning", self._entry, text)

    def _contradictions(self) -> Iterator[Problem]:
        numbers: dict[str, int] = {}
        for number, labels in sorted(self._labels.items()):
            told = labels | {self._of_table.get(number, name) for name in labels}
            if len(told) > 1:
                text = f"well {number} is called {' and '.join(sorted(told))}: rename its images"
                yield Problem("error", self._entry, text)
            other = numbers.setdefault(self.name(number), number)
            if other != number:
                text = f"wells {other} and {number} are both called {self.name(number)}"
                yield Problem("error", self._entry, f"{text}: rename the images of one")

    def _labelled(self) -> set[int]:
        return {number for number, labels in self._labels.items() if labels}

    def _guessed_shape(self) -> tuple[int, int]:
        largest = max(self._labels, default=1)
        fitting = (shape for shape in _PLATES if shape[0] * shape[1] >= largest)
        return next(fitting, _PLATES[-1])

    @staticmethod
    def _plate_shape(descriptor: ScanrDescriptor) -> tuple[int, int] | None:
        if not descriptor.rows or not descriptor.columns:
            return None
        return descriptor.rows, descriptor.columns


def _well(label: str | None) -> str | None:
    """Give the name of a well as it is printed; None for other labels."""
    try:
        return well_name(*parse_well_name((label or "").strip()))
    except ValueError:
        return None
