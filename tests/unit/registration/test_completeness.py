"""What is missing that nothing declares is told, a line for each kind."""

from collections.abc import Iterable
from itertools import product
from typing import TypeAlias

import pytest

from imextract.planes import PlaneRef
from imextract.registration.completeness import Completeness
from imextract.registration.manifest import ManifestRow, SiteKey

Key: TypeAlias = tuple[str, int, str, int, int]
"""Well, site, channel, tpoint, zplane."""

FULL = set(product(("A01", "B02"), range(2), ("C", "D"), range(3), range(2)))


def texts(keys: Iterable[Key], *, are_sites_alike: bool = True, absent: Iterable[Key] = ()) -> str:
    completeness, lost = Completeness(), set(absent)
    for key in sorted(keys):
        well, site, channel, tpoint, zplane = key
        file, ref = (None, None) if key in lost else ("a.tif", PlaneRef(0, 0))
        completeness.add(
            ManifestRow(
                SiteKey("P", well, site), "A", 0, channel, tpoint, zplane, file, ref, 4, 4, "uint8"
            )
        )
    found = list(completeness.problems(lambda *_: are_sites_alike))
    assert {problem.severity for problem in found} <= {"warning"}
    return "\n".join(problem.text for problem in found)


def without(**wanted: object) -> set[Key]:
    names = ("well", "site", "channel", "tpoint", "zplane")
    return {
        key
        for key in FULL
        if any(wanted.get(name, value) != value for name, value in zip(names, key, strict=True))
    }


def test_a_full_plate_has_no_problems() -> None:
    assert texts(FULL) == ""


def test_an_absent_plane_is_declared_and_so_not_missing() -> None:
    assert texts(FULL, absent=[("A01", 0, "C", 1, 1)]) == ""


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (without(tpoint=1), "no plane has tpoint 1, though others have tpoints up to 2"),
        (without(tpoint=0), "no plane has tpoint 0, though others have tpoints up to 2"),
        (without(zplane=0), "no plane has zplane 0, though others have zplanes up to 1"),
        (without(site=0), "no plane has site 0, though others have sites up to 1"),
        (
            without(well="B02", site=1),
            "1 of 2 wells lack sites that others have, such as well B02 without site 1",
        ),
        (
            without(well="B02", channel="D"),
            "channel D: 2 of 4 sites have no plane of it, such as well B02, site 0",
        ),
        (
            without(channel="D", tpoint=2),
            "channel D: 1 of 3 tpoints of other channels are missing, such as tpoint 2",
        ),
        (
            without(well="A01", site=1, channel="C", tpoint=2),
            (
                "channel C: 1 of 4 sites lack tpoints that others have, such as well A01, site 1 "
                "without tpoint 2"
            ),
        ),
        (
            without(well="A01", channel="C", zplane=1),
            (
                "channel C: 2 of 4 sites lack zplanes that others have, such as well A01, site 0 "
                "without zplane 1"
            ),
        ),
        (
            without(well="A01", site=0, channel="C", tpoint=1, zplane=1),
            (
                "channel C: 1 of 4 sites have fewer planes than 3 tpoints x 2 zplanes, such as "
                "well A01, site 0 with 5"
            ),
        ),
    ],
)
def test_what_others_have_is_missing_in_one_line(keys: set[Key], expected: str) -> None:
    assert texts(keys) == f"plate P, acquisition A, cycle 0: {expected} (not declared)"


def test_a_channel_of_one_focal_plane_is_no_gap() -> None:
    assert texts(without(channel="D", zplane=1)) == ""


def test_images_of_any_protocol_are_compared_by_their_indices_only() -> None:
    assert texts(without(well="B02", site=1), are_sites_alike=False) == ""
    assert "no plane has tpoint 1" in texts(without(tpoint=1), are_sites_alike=False)


def test_a_long_gap_is_counted() -> None:
    found = texts({("A01", 0, "C", tpoint, 0) for tpoint in (0, 2**31 - 1)})
    assert "no plane has tpoint 1, 2, 3 and 2147483643 more" in found
