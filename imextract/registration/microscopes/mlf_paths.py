"""Which file a CellVoyager's record means, and which files have no record."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.left_out import left_out
from imextract.registration.manifest import Problem
from imextract.registration.microscopes.mlf import Record
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.vendor_xml import joined

__all__ = ["RecordPaths", "is_image_or_correction", "is_numbered_image"]

_CORRECTIONS = re.compile("(?:DC|SC)_.*", re.IGNORECASE | re.DOTALL)
_IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_NUMBERED = re.compile(
    r"_(?P<well>[A-Z]{1,2}[0-9]{2})_T(?P<time_point>[0-9]+)F(?P<field>[0-9]+)L(?P<timeline>[0-9]+)"
    r"A(?P<action>[0-9]+)Z(?P<zindex>[0-9]+)C(?P<channel>[0-9]+)(?=[._])"
)
_MOST_NAMED = 20


class RecordPaths:
    """Finds the file of a record, and remembers which files have one."""

    def __init__(self, found: FoundFiles, claim: Claim) -> None:
        self._found = found
        self._root = claim.root
        self._used: Counter[str] = Counter()
        self._converted: list[str] = []
        self._contradicted: list[str] = []
        self._siblings: dict[str, str] = {}
        for path in claim.files:
            if _is_image(path):
                self._siblings[path.rpartition(".")[0]] = path

    def find(self, record: Record) -> str | None:
        """Give the path of a record's file, in another image format if it was converted."""
        if not record.file_name:
            return None
        path = joined(self._root, record.file_name)
        if path not in self._found.files:
            sibling = self._siblings.get(path.rpartition(".")[0])
            if sibling is not None:
                self._converted.append(sibling)
                path = sibling
        self._used[path] += 1
        if _contradicts(record):
            self._contradicted.append(path)
        return path

    def problems(self, claim: Claim) -> Iterator[Problem]:
        if self._converted:
            text = (
                f"{len(self._converted)} images are recorded under another suffix, such as this: "
                "taken for the same, converted"
            )
            yield Problem("warning", self._converted[0], text)
        if self._contradicted:
            text = (
                f"{len(self._contradicted)} files are named as other planes than their records "
                "tell, such as this: the records are believed; look at some of them"
            )
            yield Problem("warning", self._contradicted[0], text)
        others = sorted(claim.files - self._used.keys(), key=natural_order)
        foreign = [path for path in others if _is_image(path) and not _is_correction(path)]
        yield from left_out(foreign, f"has no record in {claim.entry}")
        for path, count in islice(((p, n) for p, n in self._used.items() if n > 1), _MOST_NAMED):
            text = f"{count} records of {claim.entry} name this file: expected one for each plane"
            yield Problem("error", path, text)


def is_image_or_correction(path: str) -> bool:
    """Tell by its name whether a file is an image of a measurement, or corrects them."""
    return _is_image(path) or _is_correction(path)


def is_numbered_image(name: str) -> bool:
    """Tell whether a name has all the numbers that a CellVoyager gives an image."""
    return _is_image(name) and _NUMBERED.search(name) is not None


def _is_image(path: str) -> bool:
    return path.lower().endswith(_IMAGE_SUFFIXES)


def _is_correction(path: str) -> bool:
    """Whether an image is of the camera's dark current or the lamp's shading."""
    return _CORRECTIONS.match(path.rpartition("/")[2]) is not None


def _contradicts(record: Record) -> bool:
    """Whether the name of a file tells another plane than its record."""
    match = _NUMBERED.search(record.file_name)
    if match is None:
        return False
    told = match.groupdict()
    if told.pop("well") != record.well:
        return True
    numbers = ((getattr(record, name), int(number)) for name, number in told.items())
    return any(recorded is not None and recorded != number for recorded, number in numbers)
