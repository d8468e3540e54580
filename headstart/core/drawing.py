"""What a world looks like: shapes in the world's own units. Who shows them gives them their colours.

Shapes later in a drawing cover earlier ones.
"""

from typing import Literal, NamedTuple

Role = Literal["ground", "wall", "body", "limb", "far", "goal", "mark"]  # what a shape stands for; far: the other limb
Point = tuple[float, float]  # x to the right, y upwards


class Disc(NamedTuple):
    centre: Point
    radius: float
    role: Role


class Line(NamedTuple):
    """A line through the points, with round ends."""

    points: tuple[Point, ...]
    width: float
    role: Role


class Polygon(NamedTuple):
    points: tuple[Point, ...]
    role: Role


Shape = Disc | Line | Polygon


class Drawing(NamedTuple):
    """Shapes, and the part of the world that is in the picture."""

    low: Point  # the corner bottom left
    high: Point  # the corner top right
    shapes: tuple[Shape, ...]


def rectangle(low: Point, high: Point, role: Role) -> Polygon:
    """Returns the upright rectangle between two corners."""
    (left, bottom), (right, top) = low, high
    return Polygon(((left, bottom), (right, bottom), (right, top), (left, top)), role)
