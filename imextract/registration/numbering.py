"""From the numbers in file names to zero-based indices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from imextract.registration.file_names import ParsedName
from imextract.registration.manifest import Problem

__all__ = ["Numbering", "number_gaps"]

# Numbers that are named as examples.
_MOST_EXAMPLES = 3

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

    def gaps(self) -> Iterator[Problem]:
        """Name the numbers that names leave out in between."""
        sites = [site[0] for site in self._sites if len(site) == 1]
        groups = {"site": sites, "zplane": self._z, "time point": self._t}
        return number_gaps(
            None, {what: [one for (one,) in filter(None, found)] for what, found in groups.items()}
        )

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


def number_gaps(file: str | None, numbers: Mapping[str, Iterable[int]]) -> Iterator[Problem]:
    """Name numbers of the microscope that are left out in between: ranks hide them.

    Parameters
    ----------
    file
        Which tells the numbers.
    numbers
        By what they count, such as "time point".
    """
    for what, given in numbers.items():
        found = set(given)
        if not found:
            continue
        first, last = min(found), max(found)
        missing = last - first + 1 - len(found)
        if missing:
            left_out = (str(number) for number in range(first, last) if number not in found)
            named = ", ".join(islice(left_out, _MOST_EXAMPLES))
            more = f" and {missing - _MOST_EXAMPLES} more" if missing > _MOST_EXAMPLES else ""
            text = (
                f"{what}s have the numbers {first} to {last}, but none has {named}{more} (not "
                "declared): look whether files are missing; here they are counted from 0 without "
                "gaps"
            )
            yield Problem("warning", file, text)


def _known(number: int | None) -> tuple[int, ...]:
    return () if number is None else (number,)


def _site(name: ParsedName) -> tuple[tuple[int, ...], ...]:
    return (_known(name.y), _known(name.x)) if name.site is None else (_known(name.site),)


def _ranks(numbers: Iterable[_Number]) -> dict[_Number, int]:
    return {number: rank for rank, number in enumerate(sorted(set(numbers)))}
