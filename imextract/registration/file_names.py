"""What a pattern with named groups reads from the names of files."""

import re
from dataclasses import dataclass

from imextract.errors import RegistrationError
from imextract.registration.wells import parse_well_name, row_index, well_name

__all__ = ["GROUPS", "NamePattern", "ParsedName"]

GROUPS = {
    "p": "plate",
    "w": "well (A01)",
    "wr": "row of the well (A, or a number from 1)",
    "wc": "column of the well (a number from 1)",
    "s": "site",
    "y": "row of the site",
    "x": "column of the site",
    "c": "channel",
    "z": "zplane",
    "t": "tpoint",
}
_NUMBERS = ("s", "y", "x", "z", "t")


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What one name tells; None for what the pattern does not name."""

    well: str
    plate: str | None = None
    channel: str | None = None
    site: int | None = None
    y: int | None = None
    x: int | None = None
    z: int | None = None
    t: int | None = None


class NamePattern:
    """A regular expression whose named groups tell what a file holds.

    It is searched for in the file's name or, where it contains "/", in its
    path below the folder; "^" and "$" tie it to the ends.

    Raises
    ------
    RegistrationError
        If it is no regular expression, or has no group or an unknown one.
    """

    def __init__(self, text: str) -> None:
        try:
            self._regex = re.compile(text)
        except re.error as error:
            raise RegistrationError(
                f"pattern {text!r}: {error}; give a regular expression of Python"
            ) from error
        self.text = text
        self.groups = frozenset(self._regex.groupindex)
        self._check_groups()

    def _check_groups(self) -> None:
        allowed = ", ".join(f"(?P<{name}>…) {meaning}" for name, meaning in GROUPS.items())
        unknown = sorted(self.groups - GROUPS.keys())
        if unknown or not self.groups:
            problem = f"unknown group {unknown[0]!r}" if unknown else "no named group"
            raise RegistrationError(f"pattern {self.text!r}: {problem}; the groups are {allowed}")
        has_halves = {"wr", "wc"} & self.groups
        if has_halves == {"wr"} or (has_halves and "w" in self.groups):
            raise RegistrationError(
                f"pattern {self.text!r}: a well is named by the group w, by wr and wc together, or "
                "by wc alone where all wells stand in one row"
            )

    def match(self, path: str) -> re.Match[str] | None:
        """Find the pattern in a path; None where it does not apply."""
        return self._regex.search(path if "/" in self.text else path.rpartition("/")[2])

    def parse(self, match: re.Match[str]) -> ParsedName:
        """Read what the groups of a match tell.

        Raises
        ------
        ValueError
            If a well is none or a number is none.
        """
        texts = {name: text for name, text in match.groupdict().items() if text is not None}
        numbers = {name: _number(name, texts[name]) for name in _NUMBERS if name in texts}
        return ParsedName(
            well=_well(texts),
            plate=texts.get("p") or None,
            channel=texts.get("c"),
            site=numbers.get("s"),
            y=numbers.get("y"),
            x=numbers.get("x"),
            z=numbers.get("z"),
            t=numbers.get("t"),
        )


def _number(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"group {name} ({GROUPS[name]}) is {text!r}: expected digits")
    return int(text)


def _well(texts: dict[str, str]) -> str:
    if "w" in texts:
        return well_name(*parse_well_name(texts["w"]))
    if "wc" not in texts:
        return "A01"
    row, column = texts.get("wr", "A"), _number("wc", texts["wc"])
    index = _number("wr", row) - 1 if row.isdecimal() else row_index(row)
    # Through the name once more, so that the limits of plates hold.
    return well_name(*parse_well_name(well_name(index, column - 1)))
