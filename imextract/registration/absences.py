"""Naming planes that are declared, but not there."""

from collections.abc import Iterable, Iterator

from imextract.registration.manifest import Problem, SiteKey

__all__ = ["absence_problems", "absent_plane"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20


def absent_plane(
    file: str | None, state: str, site: SiteKey, channel: str, tpoint: int, zplane: int
) -> Problem:
    """Name one absent plane, and say why it is."""
    text = (
        f"absent ({state}): plate {site.plate}, well {site.well}, site {site.site}, "
        f"channel {channel}, tpoint {tpoint}, zplane {zplane}"
    )
    return Problem("warning", file, text)


def absence_problems(absent: Iterable[Problem]) -> Iterator[Problem]:
    """Give the first absent planes, and count the others."""
    count = 0
    for problem in absent:
        count += 1
        if count <= _MOST_NAMED:
            yield problem
    if count > _MOST_NAMED:
        yield Problem("warning", None, f"{count - _MOST_NAMED} more planes are absent")
