"""Whether planes that belong together are alike in size and type."""

from collections import defaultdict
from collections.abc import Iterator

from imextract.registration.manifest import ManifestRow, Problem, SiteKey

__all__ = ["ShapeCheck"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20


class ShapeCheck:
    """Gathers what is told of planes that are there, and compares it."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, SiteKey], tuple[int, int]] = {}
        self._odd_sizes: dict[tuple[str, SiteKey], tuple[ManifestRow, tuple[int, int]]] = {}
        self._types: defaultdict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)

    def add(self, row: ManifestRow) -> None:
        """Take a plane; an absent one has a place, but no shape of its own."""
        if row.source_file is None:
            return
        place = row.acquisition, row.site
        size = row.height, row.width
        before = self._sizes.setdefault(place, size)
        if before != size:
            self._odd_sizes.setdefault(place, (row, before))
        types = self._types[row.site.plate, row.channel]
        if row.dtype not in types:
            types[row.dtype] = row.source_file

    def problems(self) -> Iterator[Problem]:
        """Tell what is not alike."""
        yield from _some(list(self._size_problems()), "sites with planes of two sizes")
        yield from self._type_problems()

    def _size_problems(self) -> Iterator[Problem]:
        for (_, site), (row, before) in self._odd_sizes.items():
            text = (
                f"has {row.width} x {row.height} pixels, another plane of the same site "
                f"{before[1]} x {before[0]}: plate {site.plate}, well {site.well}, site "
                f"{site.site}; each plane is stored with its own size"
            )
            yield Problem("warning", row.source_file, text)

    def _type_problems(self) -> Iterator[Problem]:
        for (plate, channel), types in self._types.items():
            if len(types) > 1:
                told = ", ".join(f"{dtype} ({file})" for dtype, file in types.items())
                text = (
                    f"channel {channel} of plate {plate} has pixels of several types: {told}; "
                    "each plane is stored with its own type"
                )
                yield Problem("warning", None, text)


def _some(problems: list[Problem], what: str) -> list[Problem]:
    more = len(problems) - _MOST_NAMED
    if more <= 0:
        return problems
    return [*problems[:_MOST_NAMED], Problem("warning", None, f"{more} more {what}")]
