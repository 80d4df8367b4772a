"""Where the sites of a well lie: stage positions to a grid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["grid_positions"]

# Positions on the stage repeat within a fraction of the distance of fields.
_TOLERANCE = 0.3
_ROWS_AT_ONCE = 256
# Fields farther apart than this many are no gap in a grid, but scattered.
_WIDEST_GRID = 1000


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
        Gaps in a regular grid stay gaps. Where the positions tell no two
        sites apart, or one is unknown, the sites stand in one row in order.
    """
    row = [(0, index) for index in range(len(positions))]
    known = [position for position in positions if position is not None]
    if len(known) < len(positions) or len(known) < 2:
        return row
    points = np.array(known, dtype=np.float64)
    tolerance = _TOLERANCE * float(np.median(_nearest_distances(points)))
    if not tolerance > 0:
        return row
    x = _axis_indices(points[:, 0], tolerance)
    y = _axis_indices(-points[:, 1] if y_up else points[:, 1], tolerance)
    cells = list(zip(y, x, strict=True))
    return cells if len(set(cells)) == len(cells) else row


def _nearest_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    nearest = np.empty(len(points))
    for start in range(0, len(points), _ROWS_AT_ONCE):
        block = points[start : start + _ROWS_AT_ONCE]
        distances = np.hypot(*(block[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        nearest[start : start + len(block)] = distances.min(axis=1)
    return nearest


def _axis_indices(values: NDArray[np.float64], tolerance: float) -> list[int]:
    """Give the zero-based number of the line that each value lies on."""
    order = np.argsort(values, kind="stable")
    is_next_line = np.diff(values[order]) > tolerance
    line_of_sorted = np.concatenate(([0], np.cumsum(is_next_line)))
    line = np.empty(len(values), dtype=np.int64)
    line[order] = line_of_sorted
    centres = np.array([values[line == index].mean() for index in range(line.max() + 1)])
    return [int(index) for index in _lattice(centres, tolerance)[line]]


def _lattice(centres: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Count lines by their distance where it is regular, else by their order."""
    ranks = np.arange(len(centres), dtype=np.float64)
    if len(centres) < 2:
        return ranks
    pitch = np.diff(centres).min()
    steps: NDArray[np.float64] = (centres - centres[0]) / pitch
    lines: NDArray[np.float64] = np.round(steps)
    is_regular = np.abs(steps - lines).max() * pitch <= tolerance
    return lines if is_regular and lines.max() <= _WIDEST_GRID else ranks
