"""What the grid worlds share: four moves, walls that stop them, and drawings.

Cells are numbered row by row, from 0 at the top left. The edge of the grid is a wall.
"""

import numpy as np
from jaxtyping import Bool, Int

from headstart.core.drawing import Line, Point, Role, Shape, rectangle
from headstart.core.spaces import components

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])  # in rows and columns
NAMES = components("up", "down", "left", "right")

Walls = Bool[np.ndarray, "rows columns"]


def leads(walls: Walls) -> Int[np.ndarray, "cell move"]:
    """Returns the cell to which each move leads from each cell. A move into a wall stays."""
    here = np.arange(walls.size, dtype=np.int32)
    places = np.stack(np.unravel_index(here, walls.shape), axis=-1)
    ahead = np.clip(places[:, None] + MOVES[None], 0, np.array(walls.shape)[None, None] - 1)
    row, column = ahead[..., 0], ahead[..., 1]
    return np.where(walls[row, column], here[:, None], row * walls.shape[1] + column).astype(np.int32)


def board(walls: Walls) -> tuple[Shape, ...]:
    """Returns the grid of cells, each 1 x 1, from the origin upwards and to the right, and its walls."""
    rows, columns = walls.shape
    upright = [((float(x), 0.0), (float(x), float(rows))) for x in range(columns + 1)]
    level = [((0.0, float(y)), (float(columns), float(y))) for y in range(rows + 1)]
    blocks = [square(int(cell), walls, 0.5, "wall") for cell in np.flatnonzero(walls)]
    return (*(Line(ends, 0.04, "ground") for ends in upright + level), *blocks)


def square(cell: int, walls: Walls, reach: float, role: Role) -> Shape:
    """Returns a square around the middle of a cell."""
    x, y = middle(cell, walls)
    return rectangle((x - reach, y - reach), (x + reach, y + reach), role)


def middle(cell: int, walls: Walls) -> Point:
    """Returns the middle of a cell in the drawing."""
    rows, columns = walls.shape
    return cell % columns + 0.5, rows - cell // columns - 0.5
