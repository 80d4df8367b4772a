"""Names of wells and channels, and grids of sites, whatever they are made from."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from imextract.registration.channels import distinct
from imextract.registration.geometry import grid_positions
from imextract.registration.wells import (
    LAST_COLUMN,
    LAST_ROW,
    is_well_name,
    parse_well_name,
    well_name,
)

rows = st.integers(0, LAST_ROW)
columns = st.integers(0, LAST_COLUMN)
coordinates = st.floats(-1e6, 1e6, allow_nan=False)


@given(rows, columns)
def test_parsing_a_name_gives_back_the_indices(row: int, column: int) -> None:
    name = well_name(row, column)
    assert parse_well_name(name) == (row, column)
    assert is_well_name(name)


@given(st.tuples(st.integers(0, 2000), columns), st.tuples(st.integers(0, 2000), columns))
def test_two_wells_have_two_names(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (well_name(*one) == well_name(*other)) == (one == other)


@given(st.lists(st.one_of(st.none(), st.tuples(coordinates, coordinates)), max_size=40))
def test_no_two_sites_ever_share_a_cell(positions: list[tuple[float, float] | None]) -> None:
    cells = grid_positions(positions)
    assert len(cells) == len(positions)
    assert len(set(cells)) == len(cells)
    assert all(y >= 0 and x >= 0 for y, x in cells)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(10, 2000),
    st.floats(10, 2000),
    st.randoms(use_true_random=False),
)
def test_the_order_of_sites_does_not_matter(
    rows: int, columns: int, pitch_x: float, pitch_y: float, shuffler: random.Random
) -> None:
    cells = list(itertools.product(range(rows), range(columns)))
    positions = [(x * pitch_x - 5000, y * pitch_y + 800) for y, x in cells]
    order = list(range(len(positions)))
    shuffler.shuffle(order)
    assert grid_positions([positions[i] for i in order]) == [cells[i] for i in order]


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "a_2_2", "b"])))
def test_names_made_distinct_are_distinct_and_keep_the_first(given_names: list[str]) -> None:
    result = distinct(given_names)
    assert len(set(result)) == len(result) == len(given_names)
    for name in set(given_names):
        assert result[given_names.index(name)] == name
