"""Tables and JSON on standard output, single lines on standard error."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imextract.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "UsageError",
    "print_error",
    "print_json",
    "print_json_list",
    "print_line",
    "print_table",
    "rate",
    "usage_error",
]

# Names of files may hold what a terminal obeys, and line ends.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


class UsageError(ConfigError):
    """An option's value makes no sense."""


def usage_error(error: "ValidationError") -> UsageError:
    """Say in one line which option a model refused."""
    first = error.errors()[0]
    option = str(first["loc"][0]).replace("_", "-")
    return UsageError(f"--{option} {first['input']!r}: {first['msg']}")


def print_json(document: object) -> None:
    """Print one JSON document."""
    json.dump(document, sys.stdout, indent=2, default=_plain)
    sys.stdout.write("\n")


def print_json_list(rows: Iterable[object]) -> None:
    """Print a JSON list row by row, so that millions need no memory."""
    # `json.dumps` would make an encoder for every row.
    encode = json.JSONEncoder(default=_plain).encode
    separator = "["
    for row in rows:
        sys.stdout.write(f"{separator}\n{encode(row)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


def print_line(line: str) -> None:
    """Print a line of text, or several."""
    sys.stdout.write(_printable(_shown(line, _CONTROL_IN_TEXT)) + "\n")


def print_error(line: str) -> None:
    """Print what is wrong on standard error, as one line."""
    sys.stderr.write(_shown(line, _CONTROL) + "\n")


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns."""
    texts = [["" if cell is None else _cell(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]
    for row in [headers, *texts]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def rate(byte_count: int, seconds: float) -> float:
    """Give megabytes per second, 0 for no time at all."""
    return round(byte_count / 1e6 / seconds, 1) if seconds > 0 else 0.0


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _cell(text: str) -> str:
    return _printable(_shown(text, _CONTROL))


def _shown(text: str, control: re.Pattern[str]) -> str:
    return control.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _printable(text: str) -> str:
    # File names may hold bytes that the terminal's encoding cannot show.
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
