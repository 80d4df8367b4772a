import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imextract.errors import RegistrationError
from imextract.registration.layouts import Layout, lay_out
from imextract.registration.manifest import SiteInfo, SiteKey


def cells(layout: Layout, count: int, rows: int | None, columns: int | None) -> list[object]:
    sites = {SiteKey("P", "A01", site): SiteInfo(0, site, 8, 9) for site in range(count)}
    return [(site.y, site.x) for site in lay_out(sites, layout, rows, columns).values()]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("horizontal", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("zigzag_horizontal", [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]),
        ("vertical", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
        ("zigzag_vertical", [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]),
    ],
)
def test_sites_follow_the_way_of_the_stage(layout: Layout, expected: list[object]) -> None:
    assert cells(layout, 6, 2, 3) == expected
    assert cells(layout, 6, 2, None) == expected
    assert cells(layout, 6, None, 3) == expected


@given(
    st.sampled_from(["horizontal", "zigzag_horizontal", "vertical", "zigzag_vertical"]),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_every_cell_is_taken_once(layout: Layout, rows: int, columns: int) -> None:
    grid = itertools.product(range(rows), range(columns))
    assert sorted(map(repr, cells(layout, rows * columns, rows, columns))) == sorted(
        map(repr, grid)
    )


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (None, None)])
def test_a_grid_that_holds_not_all_sites_is_refused(rows: int | None, columns: int | None) -> None:
    with pytest.raises(RegistrationError, match="--rows"):
        cells("horizontal", 5, rows, columns)
