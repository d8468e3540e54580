"""PlanarReacher-n: an arm of n links, with motors in its joints, brings its tip to a goal in a plane without gravity.

For every n the nominal arm is 1 m long and weighs 1 kg, so that all arms can reach the same goals. The physics is in
`chain.py`. A step is a few leapfrog substeps (drift, kick, drift), with a semi-implicit kick.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Disc, Drawing, Line, Role
from headstart.core.env import GoalFunctions, RewardFunction
from headstart.core.errors import InputError
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, Record, components
from headstart.tasks.worlds.chain import Chain, accelerations, ends

TORQUE = 2.0  # N·m, of a motor at full power
MAX_SPEED = 30.0  # rad/s: if a joint would turn faster, the whole arm is slowed, which cannot add energy
SUBSTEPS = 5
START_RANGE = 0.1  # rad: each joint starts at rest, within ± this of straight
MIN_GOAL_DISTANCE, MAX_GOAL_DISTANCE = 0.2, 0.95  # from the shoulder, in lengths of the arm


class Arm(Record):
    """Angles and speeds of an arm, and its goal."""

    angles: Float[Array, " n"]  # rad, of each link from the one before it
    speeds: Float[Array, " n"]  # rad/s
    goal: Float[Array, " 2"]  # m


class PlanarReacher(Env):
    """An arm of n links. Each step costs the tip's distance from the goal, and 0.1 × the squared action.

    The observation is the cosines and sines of the joints' angles, their speeds, the goal, and the tip minus the goal.
    Only the horizon ends an episode.
    """

    links: int = eqx.field(static=True)

    def __check_init__(self):
        if self.links < 1:
            raise InputError(f"PlanarReacher(links={self.links}) is out of range: give 1 or more.")

    @property
    def name(self) -> str:
        return f"PlanarReacher-{self.links}"

    @property
    def horizon(self) -> int:
        return 50

    @property
    def observation_space(self) -> Box:
        high = (1.0,) * (2 * self.links) + (MAX_SPEED,) * self.links + (math.inf,) * 4
        of_joints = [f"joint_{i + 1}_{what}" for what in ("cos", "sin", "velocity rad/s") for i in range(self.links)]
        names = components(*of_joints, "goal_x m", "goal_y m", "tip_from_goal_x m", "tip_from_goal_y m")
        return Box(tuple(-x for x in high), high, components=names)

    @property
    def action_space(self) -> Box:
        names = components(*(f"joint_{i + 1}_torque" for i in range(self.links)))
        return Box((-1.0,) * self.links, (1.0,) * self.links, components=names)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        part, numbers = 1.0 / self.links, range(1, self.links + 1)
        power = "what its motor gives, in multiples of 2 N·m for an action of 1; 0 is a broken joint"
        spread = "how far goals spread: 0 is one goal, at goal_x and goal_y; 1 the whole ring that the arm reaches"
        return (
            *(Parameter(f"link_{i}_length", part, part / 4, 2 * part, "m", "length of the link") for i in numbers),
            *(Parameter(f"link_{i}_mass", part, part / 4, 4 * part, "kg", "mass of the link") for i in numbers),
            *(Parameter(f"joint_{i}_power", 1.0, -2.0, 2.0, "2 N·m", power) for i in numbers),
            Parameter("payload", 0.0, 0.0, 2.0, "kg", "mass held at the tip"),
            Parameter("damping", 0.2, 0.0, 5.0, "N·m·s/rad", "drag of each joint"),
            Parameter("armature", 0.05, 0.02, 1.0, "kg·m²", "what its motor's rotor adds to each joint's inertia"),
            Parameter("goal_x", 0.0, -10.0, 10.0, "m", "middle of the goals, to the right of the shoulder"),
            Parameter("goal_y", 0.0, -10.0, 10.0, "m", "middle of the goals, upwards from the shoulder"),
            Parameter("goal_spread", 1.0, 0.0, 1.0, "rings", spread),
            Parameter("dt", 0.05, 1e-3, 0.1, "s", "time between two steps"),
        )

    @property
    def goal(self) -> GoalFunctions:
        """Positions of the tip. The last four numbers of an observation are the goal, and the tip minus the goal."""
        return GoalFunctions(
            achieved=lambda obs: obs[-2:] + obs[-4:-2],
            desired=lambda obs: obs[-4:-2],
            with_goal=lambda obs, goal: jnp.concatenate([obs[:-4], goal, obs[-2:] + obs[-4:-2] - goal]),
            reward=lambda achieved, desired: _rewards(achieved - desired, jnp.zeros(self.links)),
        )

    @property
    def reward_of(self) -> RewardFunction:
        return lambda obs, action, next_obs: _rewards(next_obs[-2:], action)

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_dist", "reward_ctrl")

    def initial(self, params: EnvParams, key: Key) -> Arm:
        k_angles, k_radius, k_direction = jax.random.split(key, 3)
        lengths = self._each(params, "link_{}_length")
        reach = lengths.sum()
        # Two links of different lengths cannot reach the middle.
        nearest = jnp.maximum(MIN_GOAL_DISTANCE * reach, (2 * lengths.max() - reach) / MAX_GOAL_DISTANCE)
        farthest = jnp.maximum(MAX_GOAL_DISTANCE * reach, nearest)
        radius = jnp.sqrt(jax.random.uniform(k_radius, minval=nearest**2, maxval=farthest**2))
        direction = jax.random.uniform(k_direction, maxval=2 * math.pi)
        middle = jnp.stack([params["goal_x"], params["goal_y"]])
        goal = middle + params["goal_spread"] * radius * jnp.stack([jnp.cos(direction), jnp.sin(direction)])
        angles = jax.random.uniform(k_angles, (self.links,), minval=-START_RANGE, maxval=START_RANGE)
        return Arm(angles, jnp.zeros(self.links), goal)

    def observe(self, params: EnvParams, state: Arm) -> Float[Array, " observation"]:
        angles, goal = state.angles, state.goal
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles), state.speeds, goal, self._tip(params, state) - goal])

    def transition(self, params: EnvParams, state: Arm, action: Float[Array, " n"], key: Key) -> Arm:
        chain = self._chain(params)
        torques = TORQUE * self._each(params, "joint_{}_power") * action
        dt = params["dt"] / SUBSTEPS

        def substep(_: Array, arm: Arm) -> Arm:
            halfway = arm.angles + 0.5 * dt * arm.speeds
            speeds = arm.speeds + dt * accelerations(chain, halfway, arm.speeds, torques, dt=dt)
            speeds = speeds * MAX_SPEED / jnp.maximum(jnp.abs(speeds).max(), MAX_SPEED)
            return arm.replace(angles=halfway + 0.5 * dt * speeds, speeds=speeds)

        return jax.lax.fori_loop(0, SUBSTEPS, substep, state)

    def cumulants(
        self, params: EnvParams, state: Arm, action: Float[Array, " n"], next_state: Arm
    ) -> Float[Array, " 2"]:
        return _rewards(self._tip(params, next_state) - next_state.goal, action)

    def terminal(self, params: EnvParams, state: Arm) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def draw(self, params: EnvParams, state: Arm) -> Drawing:
        chain = self._chain(params)
        x, y = map(float, state.goal)
        reach = 1.1 * max(float(chain.lengths.sum()), abs(x), abs(y))
        places = [(0.0, 0.0), *((float(x), float(y)) for x, y in ends(chain.lengths, state.angles))]
        powers = [float(power) for power in self._each(params, "joint_{}_power")]
        roles: list[Role] = ["mark" if power == 0 else "body" for power in powers]  # broken joints differ
        shapes = (
            Disc((0.0, 0.0), 0.07 * reach, "ground"),
            Disc((x, y), 0.06 * reach, "goal"),
            Line(tuple(places), 0.06 * reach, "limb"),
            *(Disc(place, 0.035 * reach, role) for place, role in zip(places, roles, strict=False)),
            Disc(places[-1], 0.02 * reach, "ground"),
        )
        return Drawing((-reach, -reach), (reach, reach), shapes)

    def _chain(self, params: EnvParams) -> Chain:
        lengths, masses = self._each(params, "link_{}_length"), self._each(params, "link_{}_mass")
        return Chain(lengths, masses, params["payload"], params["armature"], params["damping"])

    def _each(self, params: EnvParams, named: str) -> Float[Array, " n"]:
        """Returns a parameter of each link, or of each joint."""
        return jnp.stack([params[named.format(i + 1)] for i in range(self.links)])

    def _tip(self, params: EnvParams, state: Arm) -> Float[Array, " 2"]:
        return ends(self._each(params, "link_{}_length"), state.angles)[-1]


def _rewards(gap: Float[Array, " 2"], action: Float[Array, " n"]) -> Float[Array, " 2"]:
    """Returns the cumulants for a tip that is `gap` (m) away from the goal."""
    return -jnp.stack([jnp.sqrt((gap**2).sum()), 0.1 * (action**2).sum()])
