"""Whether images are as large as their metadata declare."""

from collections.abc import Collection, Iterator

from imextract.registration.manifest import Manifest, Problem

__all__ = ["size_problems"]


def size_problems(
    entry: str, declared: Collection[tuple[int, int]], manifest: Manifest
) -> Iterator[Problem]:
    """Note where pixels are not as declared; the pixels decide.

    Parameters
    ----------
    entry
        The metadata file that declares them.
    declared
        Height and width of images, in pixels; none if nothing is declared.
    """
    if not declared:
        return
    found = {
        (row.height, row.width) for row in manifest.rows() if row.source_file is not None
    } - set(declared)
    told = ", ".join(f"{width} x {height}" for height, width in sorted(declared))
    for height, width in sorted(found):
        text = f"declares images of {told} pixels, but there are some of {width} x {height}"
        yield Problem("warning", entry, f"{text}, which are taken as they are; look at them")
