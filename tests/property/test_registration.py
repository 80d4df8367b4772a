"""Names of wells and channels, and grids of sites, whatever they are made from."""

import cmath
import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imextract.registration.channels import distinct
from imextract.registration.geometry import grid_positions, same_places
from imextract.registration.wells import (
    LAST_COLUMN,
    LAST_ROW,
    is_well_name,
    parse_well_name,
    well_name,
    well_sort_key,
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


@st.composite
def stages(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[float, float]], bool]:
    """Sites of a well as a real stage goes: cells, positions, whether y grows upwards.

    The first row and the first column are whole, since a line of which no
    site is left cannot be known.
    """
    rows, columns = draw(st.integers(1, 11)), draw(st.integers(1, 13))
    shaker = random.Random(draw(st.integers(0, 10_000)))
    share = draw(st.sampled_from([1.0, 1.0, 0.8, 0.5]))
    grid = itertools.product(range(rows), range(columns))
    cells = [cell for cell in grid if 0 in cell or shaker.random() < share]
    shaker.shuffle(cells)
    pitch_x = draw(st.floats(1, 2000))
    pitch_y = pitch_x * draw(st.floats(0.5, 2))
    jitter = draw(st.sampled_from([0, 0.005, 0.02])) * min(pitch_x, pitch_y)
    turn = cmath.exp(1j * math.radians(draw(st.sampled_from([0.0, 0.3, 2.0, 5.0, -7.0]))))
    is_up = draw(st.booleans())
    positions = []
    for y, x in cells:
        down = y * pitch_y + shaker.uniform(-jitter, jitter)
        at = complex(x * pitch_x + shaker.uniform(-jitter, jitter), -down if is_up else down)
        at = at * turn + complex(-31_234, 8_055)
        positions.append((at.real, at.imag))
    return cells, positions, is_up


@given(stages())
def test_sites_lie_where_a_real_stage_took_them(
    stage: tuple[list[tuple[int, int]], list[tuple[float, float]], bool],
) -> None:
    cells, positions, is_up = stage
    assert grid_positions(positions, y_up=is_up) == cells
    assert same_places(positions) is None


@given(stages(), st.integers(0, 1000))
def test_a_site_that_was_taken_twice_is_found(
    stage: tuple[list[tuple[int, int]], list[tuple[float, float]], bool], which: int
) -> None:
    _, positions, _ = stage
    index = which % len(positions)
    assert same_places([*positions, positions[index]]) == (index, len(positions))


@pytest.mark.parametrize(
    ("wells", "last"),
    [
        (6, "B03"),
        (12, "C04"),
        (24, "D06"),
        (48, "F08"),
        (96, "H12"),
        (384, "P24"),
        (1536, "AF48"),
        (3456, "AV72"),
    ],
)
def test_all_wells_of_a_plate_have_names_of_their_own(wells: int, last: str) -> None:
    row, column = parse_well_name(last)
    names = [well_name(y, x) for y in range(row + 1) for x in range(column + 1)]
    assert len(set(names)) == len(names) == wells
    assert names[-1] == last
    assert sorted(set(names), key=well_sort_key) == names


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "a_2_2", "b"])))
def test_names_made_distinct_are_distinct_and_keep_the_first(given_names: list[str]) -> None:
    result = distinct(given_names)
    assert len(set(result)) == len(result) == len(given_names)
    for name in set(given_names):
        assert result[given_names.index(name)] == name
