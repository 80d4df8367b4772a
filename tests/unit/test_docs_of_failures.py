"""The pages on failures name tests and pages that are there."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = _ROOT / "docs"


def test_every_named_test_is_there() -> None:
    named = re.findall(r"(?:tests/)?([\w/]+\.py)", (_DOCS / "bad-inputs.md").read_text("utf-8"))
    assert len(named) > 30
    assert [name for name in named if not (_ROOT / "tests" / name).is_file()] == []


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/when-something-fails.md"])
def test_pages_are_linked_from_the_first(page: str) -> None:
    assert f"({page})" in (_ROOT / "README.md").read_text("utf-8")


def test_messages_that_are_explained_are_those_that_are_given() -> None:
    """Each quoted message has words that stand in the code."""
    code = "\n".join(path.read_text("utf-8") for path in (_ROOT / "imextract").rglob("*.py"))
    for words in (
        "bytes for strip or tile",
        "is truncated: ",
        "changed since it was registered",
        "registered with",
        "its pixels cannot be trusted: ",
        "Bio-Formats gives the same pixels for ",
        "outside of the registered folder",
        "gave no answer for",
        "was ended by ",
        "planes were stored here, but the storage is not there",
        "cannot be written",
        "Bio-Formats needs Java",
    ):
        assert words in code, words
