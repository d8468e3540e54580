"""PointMass: a point moves to the nearest goal, around the walls that a task puts into its box.

With four goals around the start it is the multi-goal env of soft Q-learning (Haarnoja et al., arXiv:1702.08165), in
which a maximum-entropy policy reaches all of them. It differs from that env: goals are 7 full steps away instead of 5,
the cost is the distance instead of its square, and actions cost nothing.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Disc, Drawing, Line, rectangle
from headstart.core.errors import InputError
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, components

AROUND = 0.7  # m, distance of the goals from the middle unless a task moves them
SIDES = ("left", "bottom", "right", "top")

Place = Float[Array, " 2"]
Point = Float[Array, " 4"]  # position (m), velocity (m/step)
Corners = Float[Array, "wall 2"]


class PointMass(Env):
    """A point in [-1, 1]² that cannot pass walls. A goal ends an episode.

    Each step costs the distance to the nearest goal (`reward_dist`), and the goal gives 1 (`reward_goal`): a sparse
    task weighs the first by 0. `inertia` is the share of its velocity that the point keeps in a step: at 0 an action is
    the velocity, near 1 it is a force against a drag that limits the speed to `speed`. A wall exists if it has an area.
    It stops motion towards it, not along it. A point that starts in a wall ignores it until it is outside.
    """

    goals: int = eqx.field(static=True, default=1)
    walls: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.goals < 1 or self.walls < 0:
            raise InputError(
                f"PointMass(goals={self.goals}, walls={self.walls}) is out of range: give at least 1 goal and 0 walls."
            )

    @property
    def name(self) -> str:
        goals = f"-{self.goals}goals" if self.goals > 1 else ""
        return f"PointMass{goals}" + (f"-{self.walls}walls" if self.walls != 1 else "")

    @property
    def horizon(self) -> int:
        return 100

    @property
    def observation_space(self) -> Box:
        high = (1.0, 1.0, math.inf, math.inf)
        return Box(tuple(-x for x in high), high, components=components("x", "y", "x_velocity", "y_velocity"))

    @property
    def action_space(self) -> Box:
        return Box((-1.0, -1.0), (1.0, 1.0), components=components("x_push", "y_push"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("speed", 0.1, 0.0, 10.0, "m/step", "how fast full actions make it in each direction"),
            Parameter("inertia", 0.0, 0.0, 0.99, "share", "of its velocity that the point keeps in a step"),
            Parameter("size", 0.03, 1e-3, 0.2, "m", "how near to a wall its middle can come: no crack lets it through"),
            Parameter("start_x", 0.0, -1.0, 1.0, "m", "where it starts, from left to right"),
            Parameter("start_y", 0.0, -1.0, 1.0, "m", "where it starts, from bottom to top"),
            Parameter("start_spread", 0.05, 0.0, 2.0, "m", "it starts uniformly within ± this of there"),
            Parameter("goal_radius", 0.1, 0.0, 1.0, "m", "how near to a goal's middle counts as being there"),
            *(parameter for i in range(self.goals) for parameter in _goal(i, self.goals)),
            *(
                Parameter(f"wall_{i + 1}_{side}", 0.0, -1.0, 1.0, "m", f"where wall {i + 1} has its {side}")
                for i in range(self.walls)
                for side in SIDES
            ),
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_dist", "reward_goal")

    def initial(self, params: EnvParams, key: Key) -> Point:
        middle = jnp.stack([params["start_x"], params["start_y"]])
        place = middle + params["start_spread"] * jax.random.uniform(key, (2,), minval=-1.0)
        return jnp.concatenate([jnp.clip(place, -1.0, 1.0), jnp.zeros(2)])

    def observe(self, params: EnvParams, state: Point) -> Point:
        return state

    def transition(self, params: EnvParams, state: Point, action: Float[Array, " 2"], key: Key) -> Point:
        place, velocity = state[:2], state[2:]
        inertia = params["inertia"]
        velocity = inertia * velocity + (1 - inertia) * params["speed"] * action
        wish = jnp.clip(place + velocity, -1.0, 1.0)
        boxed = wish != place + velocity
        place, blocked = slide(place, wish, *self._corners(params))
        return jnp.concatenate([place, jnp.where(boxed | blocked, 0.0, velocity)])

    def cumulants(
        self, params: EnvParams, state: Point, action: Float[Array, " 2"], next_state: Point
    ) -> Float[Array, " 2"]:
        reached = self.terminal(params, next_state).astype(jnp.float32)
        return jnp.stack([-self._distance(params, next_state), reached])

    def terminal(self, params: EnvParams, state: Point) -> Bool[Array, ""]:
        return self._distance(params, state) <= params["goal_radius"]

    def draw(self, params: EnvParams, state: Point) -> Drawing:
        numbers = {name: float(value) for name, value in params.items()}
        walls = [[numbers[f"wall_{i + 1}_{side}"] for side in SIDES] for i in range(self.walls)]
        goals = [(numbers[f"goal_{i + 1}_x"], numbers[f"goal_{i + 1}_y"]) for i in range(self.goals)]
        corners = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0))
        x, y, *_ = map(float, state)
        shapes = (
            rectangle((-1.0, -1.0), (1.0, 1.0), "ground"),
            *(Disc(goal, numbers["goal_radius"], "goal") for goal in goals),
            *(rectangle((w[0], w[1]), (w[2], w[3]), "wall") for w in walls if w[2] > w[0] and w[3] > w[1]),
            Line(corners, 0.03, "wall"),
            Disc((x, y), max(numbers["size"], 0.02), "body"),
        )
        return Drawing((-1.1, -1.1), (1.1, 1.1), shapes)

    def _distance(self, params: EnvParams, state: Point) -> Float[Array, ""]:
        """Returns the distance to the nearest goal."""
        apart = [
            jnp.hypot(state[0] - params[f"goal_{i + 1}_x"], state[1] - params[f"goal_{i + 1}_y"])
            for i in range(self.goals)
        ]
        return jnp.stack(apart).min()

    def _corners(self, params: EnvParams) -> tuple[Corners, Corners]:
        """Returns the walls' bottom left and top right corners, grown by the point's size; absent ones are far away."""
        numbers = [[params[f"wall_{i + 1}_{side}"] for side in SIDES] for i in range(self.walls)]
        walls = jnp.stack([jnp.stack(row) for row in numbers]) if numbers else jnp.zeros((0, 4))
        low, high = walls[:, :2], walls[:, 2:]
        has_area = (low < high).all(1, keepdims=True)
        return jnp.where(has_area, low - params["size"], jnp.inf), jnp.where(has_area, high + params["size"], jnp.inf)


def slide(place: Place, wanted: Place, low: Corners, high: Corners) -> tuple[Place, Bool[Array, " 2"]]:
    """Returns the end of a straight path to `wanted` among walls, and in which directions walls stopped it.

    The first wall stops the motion towards it; the motion along it continues up to a second wall. The end is never
    within a wall, exactly, unless the path starts in it.
    """
    blocked = jnp.zeros(2, bool)
    for _ in range(2):
        face, when = _contact(place, wanted, low, high)
        hit = jnp.isfinite(when).any()
        stopped = hit & (jnp.arange(2) == jnp.argmin(when))
        sign = jnp.where(wanted >= place, 1.0, -1.0)
        farthest = sign * jnp.minimum(sign * face, sign * wanted)
        moved_place = place + jnp.where(hit, when.min(), 0.0) * (wanted - place)
        moved_place = sign * jnp.minimum(sign * moved_place, sign * farthest)  # rounding must not pass a wall
        reached = jnp.where(hit, jnp.where(stopped, face, moved_place), wanted)
        # Rounding at the corner of a wall: the path may seem free although its end is not.
        jammed = (_within(reached, low, high).all(1) & ~_within(place, low, high).all(1)).any()
        wanted = jnp.where(jammed, place, jnp.where(stopped, face, wanted))
        place = jnp.where(jammed, place, reached)
        blocked = blocked | stopped | jammed
    return place, blocked


def _contact(place: Place, wish: Place, low: Corners, high: Corners) -> tuple[Place, Place]:
    """Returns, for each direction, the coordinate of the first face that stops the path, and the time (inf: never).

    A straight path enters a wall once it is in the wall's range of x and in its range of y, before it leaves either.
    Times are from 0 to 1.
    """
    step = wish - place
    up = (step >= 0)[None]
    near, far = jnp.where(up, low, high), jnp.where(up, high, low)
    begins, ends = place[None], wish[None]
    within = _within(place, low, high)
    crosses = jnp.where(up, (begins <= near) & (ends > near), (begins >= near) & (ends < near))
    pace = jnp.where(step == 0, 1.0, step)
    enters = jnp.where(within, -jnp.inf, (near - begins) / pace[None])
    leaves = jnp.where((step == 0)[None], jnp.inf, (far - begins) / pace[None])
    hit = (within | crosses).all(1) & ~within.all(1) & (enters < leaves[:, ::-1]).all(1)
    sideways = enters[:, 0] >= enters[:, 1]
    stops = hit[:, None] & jnp.stack([sideways, ~sideways], axis=1)
    sign = jnp.where(step >= 0, 1.0, -1.0)
    face = sign * jnp.min(jnp.where(stops, sign[None] * near, jnp.inf), axis=0, initial=jnp.inf)
    return face, (face - place) / pace


def _within(place: Place, low: Corners, high: Corners) -> Bool[Array, "wall 2"]:
    """Returns, for each direction, whether the point is in a wall's range, without the ends."""
    return (low < place[None]) & (place[None] < high)


def _goal(i: int, goals: int) -> tuple[Parameter, Parameter]:
    """Returns the parameters of one goal. Goals are spaced evenly around the middle; the first is to its right."""
    angle = 2 * math.pi * i / goals
    x, y = round(AROUND * math.cos(angle), 6) + 0.0, round(AROUND * math.sin(angle), 6) + 0.0
    return (
        Parameter(f"goal_{i + 1}_x", x, -1.0, 1.0, "m", f"where goal {i + 1} is, from left to right"),
        Parameter(f"goal_{i + 1}_y", y, -1.0, 1.0, "m", f"where goal {i + 1} is, from bottom to top"),
    )
