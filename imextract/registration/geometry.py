"""Where the sites of a well lie: stage positions to a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["grid_positions", "same_places"]

Points: TypeAlias = NDArray[np.float64]

# Positions on the stage repeat within a fraction of the distance of fields.
_TOLERANCE = 0.3
# Fields closer than this fraction of their usual distance are taken twice.
_SAME_PLACE = 0.05
_ROWS_AT_ONCE = 256
# Fields farther apart than this many are no gap in a grid, but scattered.
_WIDEST_GRID = 1000
# A camera is turned against the stage by a few degrees; more is another axis.
_MOST_TURNED = np.deg2rad(20)
_SAME_ANGLE = np.deg2rad(1)
_MOST_ANGLES = 4
# Points within this fraction of the tolerance of a grid make no other one likelier.
_CLOSE = 0.25


def grid_positions(
    positions: Sequence[tuple[float, float] | None], *, y_up: bool = False
) -> list[tuple[int, int]]:
    """Give each site of a well its zero-based grid position (y, x), no two alike.

    Parameters
    ----------
    positions
        Stage position (x, y) of each site in any unit, None where unknown.
    y_up
        The stage's y grows upwards; the grid's always grows downwards.

    Returns
    -------
    list of (y, x)
        Gaps in a regular grid stay gaps; a grid that is turned by up to 20
        degrees is turned back. Where the positions tell no two sites apart, or
        one is unknown, the sites stand in one row in order.
    """
    row = [(0, index) for index in range(len(positions))]
    points = _known_points(positions)
    if points is None:
        return row
    if y_up:
        points = points * (1, -1)
    distances, neighbours = _nearest(points)
    tolerance = _TOLERANCE * float(np.median(distances))
    if not tolerance > 0:
        return row
    straight = _fit(points, tolerance)
    fits = [
        straight,
        *(_fit(_turned(points, angle), tolerance) for angle in _angles(points, neighbours)),
    ]
    best = min((fit for fit in fits if fit.is_regular), key=_Fit.merit, default=straight)
    return best.cells if len(set(best.cells)) == len(best.cells) else row


def same_places(positions: Sequence[tuple[float, float] | None]) -> tuple[int, int] | None:
    """Give the first two sites that stand at the same place; None if no two do."""
    points = _known_points(positions)
    if points is None:
        return None
    distances, neighbours = _nearest(points)
    usual = distances[distances > 0]
    limit = _SAME_PLACE * float(np.median(usual)) if len(usual) else 0.0
    twice = np.flatnonzero(distances <= limit)
    if not len(twice):
        return None
    first, second = sorted((int(twice[0]), int(neighbours[twice[0]])))
    return first, second


def _known_points(positions: Sequence[tuple[float, float] | None]) -> Points | None:
    known = [position for position in positions if position is not None]
    if len(known) < len(positions) or len(known) < 2:
        return None
    points = np.array(known, dtype=np.float64)
    return points if np.isfinite(points).all() else None


def _nearest(points: Points) -> tuple[Points, NDArray[np.intp]]:
    """Give the distance and the index of the nearest neighbour of each point."""
    distances = np.empty(len(points))
    neighbours = np.empty(len(points), dtype=np.intp)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        block = points[start : start + _ROWS_AT_ONCE]
        between = np.hypot(*(block[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
        between[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        stop = start + len(block)
        neighbours[start:stop] = between.argmin(axis=1)
        distances[start:stop] = between.min(axis=1)
    return distances, neighbours


def _angles(points: Points, neighbours: NDArray[np.intp]) -> list[float]:
    """Give the angles at which lines of sites may run: those of the steps between neighbours.

    Where there are gaps, some of them are diagonals.
    """
    steps = points[neighbours] - points
    # Four times the angle: lines in all four directions along the axes are alike.
    directions = np.exp(4j * np.arctan2(steps[:, 1], steps[:, 0]))
    folded = np.sort(np.angle(directions) / 4)
    groups = np.split(folded, np.flatnonzero(np.diff(folded) > _SAME_ANGLE) + 1)
    groups.sort(key=len, reverse=True)
    angles = [float(np.angle(directions.mean()) / 4)]
    angles += [float(np.median(group)) for group in groups[:_MOST_ANGLES]]
    return [angle for angle in angles if abs(angle) <= _MOST_TURNED]


def _turned(points: Points, angle: float) -> Points:
    """Turn points so that lines at an angle run along the axes."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: Points = points @ np.array([[cosine, -sine], [sine, cosine]])
    return turned


@dataclass(frozen=True, slots=True)
class _Fit:
    """Points in cells of a grid; `is_regular` if it is one, with one point in each cell."""

    cells: list[tuple[int, int]]
    is_regular: bool
    is_close: bool

    def merit(self) -> tuple[bool, int]:
        """Sort key: the best comes first.

        Of grids that all points lie close to, the one with the fewest cells: one that
        is seen at a slant seems to have more lines than it has.
        """
        height, width = (max(axis) + 1 for axis in zip(*self.cells, strict=True))
        return not self.is_close, height * width


def _fit(points: Points, tolerance: float) -> _Fit:
    x, x_error = _axis_indices(points[:, 0], tolerance)
    y, y_error = _axis_indices(points[:, 1], tolerance)
    cells = list(zip(y, x, strict=True))
    error = max(x_error, y_error)
    is_regular = error <= tolerance and len(set(cells)) == len(cells)
    return _Fit(cells, is_regular, error <= _CLOSE * tolerance)


def _axis_indices(values: Points, tolerance: float) -> tuple[list[int], float]:
    """Give the zero-based number of the line that each value lies on, and how far off it is.

    Infinitely far where the lines are not regular.
    """
    order = np.argsort(values, kind="stable")
    is_next_line = np.diff(values[order]) > tolerance
    line_of_sorted = np.concatenate(([0], np.cumsum(is_next_line)))
    line = np.empty(len(values), dtype=np.int64)
    line[order] = line_of_sorted
    count = np.bincount(line)
    centres = np.bincount(line, weights=values) / count
    spread = float(np.abs(values - centres[line]).max())
    lines, error = _lattice(centres, tolerance)
    return [int(index) for index in lines[line]], max(spread, error)


def _lattice(centres: Points, tolerance: float) -> tuple[Points, float]:
    """Count lines by their distance where it is regular, else by their order; how far off it is."""
    ranks = np.arange(len(centres), dtype=np.float64)
    if len(centres) < 2:
        return ranks, 0.0
    pitch = _pitch(centres, tolerance)
    lines: Points = np.round((centres - centres[0]) / pitch)
    error = float(np.abs((centres - centres[0]) - lines * pitch).max())
    is_regular = (
        error <= tolerance
        and lines.max() <= _WIDEST_GRID
        and len(set(lines.tolist())) == len(lines)
    )
    return (lines, error) if is_regular else (ranks, np.inf)


def _pitch(centres: Points, tolerance: float) -> float:
    """Give the distance of lines: the smallest, averaged over all that are about as far apart."""
    gaps = np.diff(centres)
    smallest = float(gaps.min())
    return float(gaps[gaps <= smallest + tolerance].mean())
