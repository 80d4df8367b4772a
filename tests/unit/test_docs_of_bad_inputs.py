"""The page on bad inputs names tests that are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "bad-inputs.md"
ROWS = [
    line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if ".py" in line
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_names_tests_that_are_there(row: list[str]) -> None:
    _, outcome, tests = row
    assert outcome
    for test in tests.split(", "):
        path, _, name = test.partition("::")
        source = (TESTS / path).read_text("utf-8")
        assert re.search(rf"^ *def {name or 'test_'}", source, re.MULTILINE), test
