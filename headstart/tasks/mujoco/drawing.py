"""Drawings of robots: their geoms as flat shapes in an orthographic projection, without OpenGL.

MuJoCo's own renderer needs EGL or OSMesa, which many machines lack. A capsule is drawn as a line with round ends, a
sphere as a disc, anything else as the hull of its corners; nearer shapes cover farther ones.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from headstart.core.drawing import Disc, Drawing, Line, Point, Polygon, Role, Shape, rectangle
from headstart.tasks.mujoco.bindings import Data, Model, mujoco
from headstart.tasks.mujoco.physics import physics

Points = Float[np.ndarray, "point 3"]  # m; x forwards, y to the left, z upwards

PLANE, SPHERE, CAPSULE, CYLINDER, MESH = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind}")) for kind in ("PLANE", "SPHERE", "CAPSULE", "CYLINDER", "MESH")
)
ROUND = np.linspace(0.0, 2 * math.pi, 24, endpoint=False)  # angles of the corners that approximate a circle
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
ALL_ROUND = np.random.default_rng(0).normal(size=(100, 3))  # directions
MARGIN = 0.2  # m, margin around the scene


class View(NamedTuple):
    """The direction from which a robot is seen, and the size of the picture."""

    low: Point  # the picture's corners (m), relative to the robot's root
    high: Point
    turned: float = 0.0  # degrees around the vertical; 0: robots that move along x go to the right
    raised: float = 0.0  # degrees above the horizon; 90: from above
    follows: str = "x"  # the coordinates of the root, of x and y, that stay in the middle
    tile: float = 0.5  # m, of the floor's pattern, which shows a robot's motion


VIEWS = {
    "Ant-v5": View((-1.6, -0.9), (1.6, 1.8), 20.0, 35.0, "xy", 1.0),
    "HalfCheetah-v5": View((-1.3, -0.25), (1.3, 1.15)),
    "Hopper-v5": View((-1.1, -0.2), (1.1, 1.75)),
    "Humanoid-v5": View((-1.1, -0.4), (1.1, 1.8), 25.0, 12.0, "xy", 1.0),
    "InvertedDoublePendulum-v5": View((-1.3, -0.3), (1.3, 1.4), follows=""),
    "InvertedPendulum-v5": View((-1.2, -0.3), (1.2, 0.9), follows=""),
    "Pusher-v5": View((-0.4, -0.9), (1.1, 0.3), 0.0, 55.0, "", 0.25),
    "Reacher-v5": View((-0.33, -0.33), (0.33, 0.33), 0.0, 90.0, "", 0.1),
    "Swimmer-v5": View((-2.4, -1.5), (2.4, 1.5), 0.0, 90.0, "xy", 1.0),
    "Walker2d-v5": View((-1.1, -0.2), (1.1, 1.75)),
}


def drawing(robot: str, qpos: Float[np.ndarray, " nq"]) -> Drawing:
    """Returns a drawing of a robot's pose. No parameter changes a robot's shape, so the nominal model is drawn."""
    model = physics(robot).model
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    return scene(model, data, VIEWS[robot])


def overview(model: Model, data: Data) -> Drawing:
    """Returns a drawing of any model, from an oblique direction: with all of its first pose, following its root."""
    view = View((0.0, 0.0), (0.0, 0.0), 30.0, 40.0, "xy" if model.body_dofnum[1] else "", 1.0)
    rest = mujoco.MjData(model)
    mujoco.mj_kinematics(model, rest)
    drawn = [i for i in range(model.ngeom) if is_drawn(model, i)]
    root = rest.xpos[1] * [axis in view.follows for axis in "xyz"]
    places = (rest.geom_xpos[drawn] - root) @ axes(view)[:2].T
    margins = model.geom_rbound[drawn][:, None] + MARGIN
    low, high = ((place[0], place[1]) for place in ((places - margins).min(0), (places + margins).max(0)))
    return scene(model, data, view._replace(low=low, high=high))


def scene(model: Model, data: Data, view: View) -> Drawing:
    """Returns a drawing of a model's current pose."""
    basis = axes(view)
    root = data.xpos[1] * [axis in view.follows for axis in "xyz"]
    x, y, _ = basis @ root
    low, high = ((x + corner[0], y + corner[1]) for corner in (view.low, view.high))
    drawn = [i for i in range(model.ngeom) if is_drawn(model, i)]
    depth = np.round(data.geom_xpos @ basis[2], 6)
    drawn.sort(key=lambda i: (-depth[i], role_of(model, i) != "far"))  # the farthest first
    shapes = [project_geom(model, data, i, basis) for i in drawn]
    return Drawing(low, high, (*floor(model, data, view, root, (low, high)), *shapes))


def is_drawn(model: Model, i: int) -> bool:
    """Returns whether a geom is drawn: no floor, no handle, and of a group that MuJoCo's renderer shows."""
    is_handle = model.body_mocapid[model.geom_bodyid[i]] >= 0
    is_visible = model.geom_group[i] < 3 and model.geom_rgba[i, 3] > 0
    return bool(is_visible and model.geom_type[i] != PLANE and not is_handle)


@functools.cache
def axes(view: View) -> Float[np.ndarray, "3 3"]:
    """Returns the directions to the right, upwards and away in the picture, one row each."""
    a, e = math.radians(view.turned), math.radians(view.raised)
    return np.array(
        [
            [math.cos(a), math.sin(a), 0.0],
            [-math.sin(a) * math.sin(e), math.cos(a) * math.sin(e), math.cos(e)],
            [-math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), -math.sin(e)],
        ]
    )


def project_geom(model: Model, data: Data, i: int, basis: Float[np.ndarray, "3 3"]) -> Shape:
    """Returns a geom's shape in the picture."""
    kind, size, role = model.geom_type[i], model.geom_size[i], role_of(model, i)
    place, rotation = data.geom_xpos[i], data.geom_xmat[i].reshape(3, 3)
    if kind == SPHERE:
        return Disc(project(place[None], basis)[0], float(size[0]), role)
    if kind == CAPSULE:
        ends = place + np.outer((-1, 1), size[1] * rotation[:, 2])
        return Line(tuple(project(ends, basis)), 2 * float(size[0]), role)
    if kind == CYLINDER:
        circle = np.stack([np.cos(ROUND), np.sin(ROUND)], 1) * size[0]
        corners = np.concatenate([np.column_stack([circle, np.full(len(ROUND), z)]) for z in (-size[1], size[1])])
    elif kind == MESH:
        first, count = (field[model.geom_dataid[i]] for field in (model.mesh_vertadr, model.mesh_vertnum))
        vertices = model.mesh_vert[first : first + count]
        corners = vertices[np.unique((vertices @ ALL_ROUND.T).argmax(0))]  # extreme points
    else:  # a box, or anything within a box
        corners = CORNERS * size
    return Polygon(hull(project(place + corners @ rotation.T, basis)), role)


def role_of(model: Model, i: int) -> Role:
    """Returns the role of a geom, from its name and its body's."""
    body = model.geom_bodyid[i]
    names = f"{model.geom(i).name} {model.body(body).name}"
    if "goal" in names or "target" in names:
        return "goal"
    if any(word in names for word in ("object", "ball", "puck")):
        return "mark"
    if body <= 1:
        return "body" if body else "wall"
    return "far" if "left" in names else "limb"


def project(points: Points, basis: Float[np.ndarray, "3 3"]) -> list[Point]:
    """Returns the positions of points in the picture (m)."""
    return [(x, y) for x, y, _ in (points @ basis.T).tolist()]


def hull(points: list[Point]) -> tuple[Point, ...]:
    """Returns the corners of the points' convex hull in order (Andrew's monotone chain)."""

    def half(points: list[Point]) -> list[Point]:
        chain: list[Point] = []
        for x, y in points:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) > (by - ay) * (x - ax):
                    break
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    ordered = sorted(set(points))
    return tuple(half(ordered) + half(ordered[::-1]))


def floor(model: Model, data: Data, view: View, root: np.ndarray, frame: tuple[Point, Point]) -> Iterator[Shape]:
    """Yields the floor with a pattern that is fixed to the ground; nothing if there is no floor."""
    planes = np.flatnonzero(model.geom_type == PLANE)
    if not planes.size:
        return
    (left, bottom), (right, top) = frame
    height, basis, tile = float(data.geom_xpos[planes[0], 2]), axes(view), view.tile
    if view.raised == 0.0:
        yield rectangle((left, bottom), (right, height), "ground")
        for k in range(math.ceil(left / tile), math.floor(right / tile) + 1):
            yield Line(((k * tile, height), (k * tile, height - tile / 5)), 0.015, "wall")
        return
    margins = math.ceil(math.hypot(right - left, (top - bottom) / basis[1, :2].max()) / tile / 2) + 1
    centre_tile = np.round(root[:2] / tile).astype(int)
    for i in range(centre_tile[0] - margins, centre_tile[0] + margins):
        for j in range(centre_tile[1] - margins, centre_tile[1] + margins):
            if (i + j) % 2 == 0:
                square = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
                yield Polygon(
                    tuple(project(np.array([[x * tile, y * tile, height] for x, y in square]), basis)), "ground"
                )
