"""GoalPointMass: PointMass with a goal that is drawn for each episode, and observed.

It is the sparse task of hindsight experience replay (Andrychowicz et al. 2017, arXiv:1707.01495) in continuous actions:
random actions seldom reach the goal, and every other step has the same reward.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.env import GoalFunctions
from headstart.core.errors import InputError
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, Record, components
from headstart.tasks.worlds.point_mass import SIDES, Place, Point, PointMass


class PointAndGoal(Record):
    """The state of the point, and the goal of the episode."""

    point: Point
    goal: Place  # m


class GoalPointMass(Env):
    """The point of PointMass, among its walls, with a goal drawn uniformly from a box that the task sets.

    Each step costs 1 unless the point is within `radius` of the goal after it (`reward_goal`). `reward_dist`, minus the
    distance to the goal, has weight 0 unless a task sets another. The observation is that of PointMass, then the goal.

    The radius is a field, not a parameter, because `goal.reward` is a function of places alone. Reaching the goal does
    not end the episode. Otherwise a transition's goal would decide whether it is the last one, and it could not be
    relabelled with another goal.
    """

    walls: int = eqx.field(static=True, default=1)
    radius: float = eqx.field(static=True, default=0.05)  # m

    def __check_init__(self) -> None:
        if self.walls < 0 or not 0 < self.radius < math.inf:
            raise InputError(
                f"GoalPointMass(walls={self.walls}, radius={self.radius}) is out of range: give at least 0 walls and a "
                "finite radius above 0."
            )

    @property
    def name(self) -> str:
        walls = f"-{self.walls}walls" if self.walls != 1 else ""
        return f"GoalPointMass{walls}" + (f"-{self.radius:g}m" if self.radius != 0.05 else "")

    @property
    def horizon(self) -> int:
        return 50

    @property
    def observation_space(self) -> Box:
        high = (1.0, 1.0, math.inf, math.inf, 1.0, 1.0)
        names = components("x", "y", "x_velocity", "y_velocity", "goal_x m", "goal_y m")
        return Box(tuple(-x for x in high), high, components=names)

    @property
    def action_space(self) -> Box:
        return self._point_mass.action_space

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        nominal = (-1.0, -1.0, 1.0, 1.0)
        return (
            *(p for p in self._point_mass.parameters if not p.name.startswith("goal_")),
            *(
                Parameter(f"goal_{side}", x, -1.0, 1.0, "m", f"where the box of goals has its {side}")
                for side, x in zip(SIDES, nominal, strict=True)
            ),
        )

    @property
    def goal(self) -> GoalFunctions:
        """Positions of the point. The last two numbers of an observation are the goal."""
        return GoalFunctions(
            achieved=lambda obs: obs[:2],
            desired=lambda obs: obs[4:],
            with_goal=lambda obs, goal: jnp.concatenate([obs[:4], goal]),
            reward=self._rewards,
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_goal", "reward_dist")

    @property
    def label_names(self) -> tuple[str, ...]:
        return ("reward_dist",)

    def initial(self, params: EnvParams, key: Key) -> PointAndGoal:
        k_point, k_goal = jax.random.split(key)
        left, bottom, right, top = (params[f"goal_{side}"] for side in SIDES)
        low, high = jnp.stack([left, bottom]), jnp.stack([right, top])
        goal = low + (high - low) * jax.random.uniform(k_goal, (2,))
        return PointAndGoal(self._point_mass.initial(params, k_point), goal)

    def observe(self, params: EnvParams, state: PointAndGoal) -> Float[Array, " 6"]:
        return jnp.concatenate([state.point, state.goal])

    def transition(self, params: EnvParams, state: PointAndGoal, action: Float[Array, " 2"], key: Key) -> PointAndGoal:
        return state.replace(point=self._point_mass.transition(params, state.point, action, key))

    def cumulants(
        self, params: EnvParams, state: PointAndGoal, action: Float[Array, " 2"], next_state: PointAndGoal
    ) -> Float[Array, " 2"]:
        return self._rewards(next_state.point[:2], next_state.goal)

    def terminal(self, params: EnvParams, state: PointAndGoal) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def draw(self, params: EnvParams, state: PointAndGoal) -> Drawing:
        x, y = state.goal
        drawn = {**params, "goal_1_x": x, "goal_1_y": y, "goal_radius": self.radius}
        return self._point_mass.draw(drawn, state.point)

    @property
    def _point_mass(self) -> PointMass:
        """The env whose point, walls and drawing this one has."""
        return PointMass(walls=self.walls)

    def _rewards(self, achieved: Place, desired: Place) -> Float[Array, " 2"]:
        """Returns the cumulants of a step that ends in `achieved`, for the goal `desired`."""
        distance = jnp.hypot(*(achieved - desired))
        return jnp.stack([(distance <= self.radius).astype(jnp.float32) - 1.0, -distance])
