"""Naming images that are left out."""

from collections.abc import Iterator, Sequence

from imextract.registration.manifest import Problem

__all__ = ["left_out"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20


def left_out(paths: Sequence[str], reason: str) -> Iterator[Problem]:
    """Name each of the images, and where they are too many, how many more there are."""
    for path in paths[:_MOST_NAMED]:
        yield Problem("warning", path, f"{reason}: left out")
    if len(paths) > _MOST_NAMED:
        others = len(paths) - _MOST_NAMED - 1
        more = f", and so are {others} more images, up to {paths[-1]}" if others else ""
        yield Problem("warning", paths[_MOST_NAMED], f"{reason}: left out{more}")
