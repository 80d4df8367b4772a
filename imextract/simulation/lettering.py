"""Letters of 5 x 7 dots, so that a person can read what a plane is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LETTERS", "render_lines"]

# Five columns of a letter, each a byte whose lowest bit is the top dot.
_GLYPHS = {
    letter: bytes.fromhex(columns)
    for letter, columns in {
        "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31",
        "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503",
        "8": "3649494936", "9": "064949291e", "A": "7e1111117e", "B": "7f49494936",
        "C": "3e41414122", "D": "7f4141221c", "E": "7f49494941", "F": "7f09090901",
        "G": "3e4149497a", "H": "7f0808087f", "I": "00417f4100", "J": "2040413f01",
        "K": "7f08142241", "L": "7f40404040", "M": "7f020c027f", "N": "7f0408107f",
        "O": "3e4141413e", "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946",
        "S": "4649494931", "T": "01017f0101", "U": "3f4040403f", "V": "1f2040201f",
        "W": "3f4038403f", "X": "6314081463", "Y": "0708700807", "Z": "6151494543",
        " ": "0000000000",
    }.items()
}  # fmt: skip
LETTERS = frozenset(_GLYPHS)
_ADVANCE = 6
_LINE = 9


def render_lines(lines: Sequence[str], height: int, width: int) -> NDArray[np.bool_]:
    """Draw lines of capital letters and digits, as large as a third of a plane allows.

    Returns
    -------
    ndarray of bool, at most (height, width)
        True where there is ink.
    """
    longest = max(map(len, lines))
    ink = np.zeros((_LINE * len(lines) + 2, _ADVANCE * longest + 2), bool)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            y, x = 2 + row * _LINE, 2 + column * _ADVANCE
            ink[y : y + 7, x : x + 5] = _dots(letter)
    scale = max(1, min(width // ink.shape[1], height // (3 * ink.shape[0])))
    return ink.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]


def _dots(letter: str) -> NDArray[np.bool_]:
    columns = np.frombuffer(_GLYPHS[letter], np.uint8)
    return (columns >> np.arange(7)[:, np.newaxis] & 1).astype(bool)
