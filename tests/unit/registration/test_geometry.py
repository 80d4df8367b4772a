import cmath
import itertools
import math
import random

import pytest

from imextract.registration.geometry import grid_positions, same_places


def lattice(
    rows: int, columns: int, pitch: tuple[float, float], jitter: float = 0.0
) -> list[tuple[float, float]]:
    shake = random.Random(7)
    return [
        (
            -5000 + x * pitch[0] + shake.uniform(-jitter, jitter),
            800 + y * pitch[1] + shake.uniform(-jitter, jitter),
        )
        for y, x in itertools.product(range(rows), range(columns))
    ]


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 2), (1, 7), (7, 1), (2, 2), (3, 4), (4, 4), (6, 6), (8, 8), (5, 3)]
)
@pytest.mark.parametrize("pitch", [(100.0, 100.0), (650.0, 430.0), (100.0, 290.0), (1e-3, 2e-3)])
def test_a_regular_grid_is_found(rows: int, columns: int, pitch: tuple[float, float]) -> None:
    positions = lattice(rows, columns, pitch, jitter=0.04 * min(pitch))
    expected = list(itertools.product(range(rows), range(columns)))
    assert grid_positions(positions) == expected


def test_gaps_in_the_grid_stay_gaps() -> None:
    positions = lattice(4, 5, (100.0, 80.0))
    cells = list(itertools.product(range(4), range(5)))
    kept = [index for index, (y, x) in enumerate(cells) if x != 2 and (y, x) != (1, 3)]
    assert grid_positions([positions[i] for i in kept]) == [cells[i] for i in kept]


@pytest.mark.parametrize(
    ("cells", "degrees"),
    [
        ([(0, 1), (1, 0), (2, 0)], 0.0),
        ([(0, 1), (2, 1), (0, 0), (1, 0)], 10.0),
        ([(1, 0), (1, 5), (0, 1), (1, 1), (1, 3), (0, 4)], -7.0),
        ([(0, 2), (1, 3), (0, 0), (1, 1), (1, 4)], 15.0),
    ],
)
def test_steps_along_diagonals_do_not_turn_a_grid_with_gaps(
    cells: list[tuple[int, int]], degrees: float
) -> None:
    turn = cmath.exp(1j * math.radians(degrees))
    places = [complex(300 * x, 600 * y) * turn for y, x in cells]
    assert grid_positions([(place.real, place.imag) for place in places]) == cells


def test_a_stage_that_counts_upwards_is_turned() -> None:
    assert grid_positions([(0, 0), (0, 10), (10, 10)], y_up=True) == [(1, 0), (0, 0), (0, 1)]


def test_one_site_stands_at_the_origin() -> None:
    assert grid_positions([(512.5, -3.0)]) == [(0, 0)]


@pytest.mark.parametrize(
    "positions",
    [
        [None, None, None],
        [(0.0, 1.0)] * 3,
        [(0.0, 0.0), (10.0, 0.0), None],
        [(0.0, 0.0), (10.0, 0.0), (10.0, 0.0)],
    ],
    ids=["unknown", "all alike", "one unknown", "two alike"],
)
def test_sites_that_positions_do_not_tell_apart_stand_in_a_row(
    positions: list[tuple[float, float] | None],
) -> None:
    assert grid_positions(positions) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("degrees", [-15, -5, -2, 1, 3, 7, 12, 18])
@pytest.mark.parametrize(("rows", "columns"), [(1, 9), (9, 1), (3, 3), (5, 7), (8, 8)])
def test_a_turned_grid_is_turned_back(rows: int, columns: int, degrees: float) -> None:
    turn = cmath.exp(1j * math.radians(degrees))
    straight = lattice(rows, columns, (650.0, 430.0), jitter=10)
    turned = [complex(*position) * turn for position in straight]
    cells = grid_positions([(position.real, position.imag) for position in turned])
    assert cells == list(itertools.product(range(rows), range(columns)))


def test_sites_at_the_same_place_are_found() -> None:
    positions: list[tuple[float, float] | None] = [*lattice(2, 3, (100.0, 80.0))]
    assert same_places(positions) is None
    assert same_places([*positions, (positions[4] or (0, 0))]) == (4, 6)
    assert same_places([(0.0, 0.0), (0.0, 0.0)]) == (0, 1)
    assert same_places([None, (0.0, 0.0), (0.0, 0.0)]) is None
