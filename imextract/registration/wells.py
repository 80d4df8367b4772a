"""Names of wells, as printed on plates: A01, P24, AV72."""

import re

__all__ = [
    "LAST_COLUMN",
    "LAST_ROW",
    "is_well_name",
    "parse_well_name",
    "row_index",
    "well_name",
    "well_sort_key",
]

# A 3456-well plate, the largest there is, ends with AV72; both zero-based.
LAST_ROW = 47
LAST_COLUMN = 71

_NAME = re.compile(r"([A-Za-z]{1,2})([0-9]{1,2})")


def well_name(row: int, column: int) -> str:
    """Name a well by its zero-based row and column.

    Raises
    ------
    ValueError
        If the row or the column is negative.
    """
    if row < 0 or column < 0:
        raise ValueError(f"row {row}, column {column}: expected indices from 0")
    letters = ""
    rest = row + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{column + 1:02d}"


def row_index(letters: str) -> int:
    """Give the zero-based row of the letters of a well name ("A" is 0, "AA" is 26).

    Raises
    ------
    ValueError
        If the text is not one or two letters within a 3456-well plate.
    """
    if not re.fullmatch("[A-Za-z]{1,2}", letters):
        raise ValueError(f"row {letters!r}: expected one or two letters, A to AV")
    row = 0
    for letter in letters.upper():
        row = row * 26 + ord(letter) - ord("A") + 1
    if row - 1 > LAST_ROW:
        raise ValueError(f"row {letters!r}: expected A to AV")
    return row - 1


def parse_well_name(text: str) -> tuple[int, int]:
    """Give the zero-based (row, column) of a well name such as "A1", "a01" or "AV72".

    Raises
    ------
    ValueError
        If the text is no well name of a plate of up to 3456 wells.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no well name: expected A01 to AV72")
    column = int(match[2]) - 1
    if not 0 <= column <= LAST_COLUMN:
        raise ValueError(f"{text!r} is no well name: expected column 1 to {LAST_COLUMN + 1}")
    return row_index(match[1]), column


def is_well_name(text: str) -> bool:
    """Tell whether a text is a well name as `well_name` writes it."""
    try:
        return well_name(*parse_well_name(text)) == text
    except ValueError:
        return False


def well_sort_key(text: str) -> tuple[int, int, str]:
    """Give a sort key of wells: row by row; what is no well comes first, by its text."""
    try:
        return (*parse_well_name(text), "")
    except ValueError:
        return -1, -1, text
