"""Drawings of a state: shapes in the env's units. Whoever displays them chooses the colours.

Later shapes cover earlier ones.
"""

from typing import Literal, NamedTuple

Role = Literal["ground", "wall", "body", "limb", "far", "goal", "mark"]  # of a shape; far: a limb on the far side
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
    """Shapes, and the rectangle of the plane that the picture shows."""

    low: Point  # the bottom left corner
    high: Point  # the top right corner
    shapes: tuple[Shape, ...]


def rectangle(low: Point, high: Point, role: Role) -> Polygon:
    """Returns the upright rectangle between two corners."""
    (left, bottom), (right, top) = low, high
    return Polygon(((left, bottom), (right, bottom), (right, top), (left, top)), role)
