"""From the numbers in file names to zero-based indices."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from imextract.registration.file_names import ParsedName

__all__ = ["Numbering"]

_Number = TypeVar("_Number", bound=tuple[Any, ...])


class Numbering:
    """Ranks the numbers that occur in the names of an acquisition, by their size.

    A number that a name leaves out, though others have it, comes first. Sites
    that are told by row and column alone are numbered row by row.
    """

    def __init__(self, names: Sequence[ParsedName]) -> None:
        self._sites = _ranks(_site(name) for name in names)
        self._y = _ranks(_known(name.y) for name in names)
        self._x = _ranks(_known(name.x) for name in names)
        self._z = _ranks(_known(name.z) for name in names)
        self._t = _ranks(_known(name.t) for name in names)

    def site(self, name: ParsedName) -> int:
        """Give the site of a file."""
        return self._sites[_site(name)]

    def cell(self, name: ParsedName) -> tuple[int, int]:
        """Give the grid position (y, x) of a file's site."""
        return self._y[_known(name.y)], self._x[_known(name.x)]

    def zplane(self, name: ParsedName) -> int:
        """Give the zplane of a file."""
        return self._z[_known(name.z)]

    def tpoint(self, name: ParsedName) -> int:
        """Give the tpoint of a file."""
        return self._t[_known(name.t)]


def _known(number: int | None) -> tuple[int, ...]:
    return () if number is None else (number,)


def _site(name: ParsedName) -> tuple[tuple[int, ...], ...]:
    return (_known(name.y), _known(name.x)) if name.site is None else (_known(name.site),)


def _ranks(numbers: Iterable[_Number]) -> dict[_Number, int]:
    return {number: rank for rank, number in enumerate(sorted(set(numbers)))}
