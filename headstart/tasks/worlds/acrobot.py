"""Acrobot-v1: swing up the tip of two links that hang from a hinge, with a motor between the links.

Sutton's acrobot (1996) with the equations of Sutton and Barto's book, as in
`gymnasium/envs/classic_control/acrobot.py`: one Runge-Kutta step of fourth order, then speeds are clipped.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing, Line
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, components

MAX_SPEED = 4 * math.pi, 9 * math.pi  # rad/s, of either joint
COMPONENTS = components(
    "joint_1_cos", "joint_1_sin", "joint_2_cos", "joint_2_sin", "joint_1_velocity rad/s", "joint_2_velocity rad/s"
)
START_RANGE = 0.1  # each of the four numbers starts within ± this

# Angle of the first link from hanging and of the second from the first (rad, within ±π), and their speeds (rad/s).
Links = Float[Array, " 4"]


class Acrobot(Env):
    """Gymnasium's Acrobot-v1 with its constants as parameters. The reward is -1 per step until the tip is high enough.

    The goal height is in mean lengths of a link, so that links of any length can reach it. Gymnasium assumes lengths of
    1 there, which is the same as long as both links are equally long.
    """

    @property
    def name(self) -> str:
        return "Acrobot-v1"

    @property
    def horizon(self) -> int:
        return 500

    @property
    def observation_space(self) -> Box:
        high = (1.0, 1.0, 1.0, 1.0, *MAX_SPEED)
        return Box(tuple(-x for x in high), high, components=COMPONENTS)

    @property
    def action_space(self) -> Discrete:
        return Discrete(3, components("backwards", "nothing", "forwards"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        hinge = "from its upper end to its centre of mass"
        clipped = "turns no faster than this"
        return (
            Parameter("gravity", 9.8, 0.0, 100.0, "m/s²", "pull downwards"),
            Parameter("length_1", 1.0, 1e-2, 1e2, "m", "length of the first link"),
            Parameter("length_2", 1.0, 1e-2, 1e2, "m", "length of the second link: it counts only for the goal"),
            Parameter("mass_1", 1.0, 1e-2, 1e2, "kg", "mass of the first link"),
            Parameter("mass_2", 1.0, 1e-2, 1e2, "kg", "mass of the second link"),
            Parameter("centre_1", 0.5, 0.0, 1e2, "m", f"first link, {hinge}"),
            Parameter("centre_2", 0.5, 0.0, 1e2, "m", f"second link, {hinge}"),
            Parameter("inertia", 1.0, 1e-2, 1e2, "kg·m²", "moment of inertia of either link about its centre of mass"),
            Parameter("torque", 1.0, -1e2, 1e2, "N·m", "how hard the motor turns; below 0, the other way"),
            Parameter("max_speed_1", MAX_SPEED[0], 0.1, MAX_SPEED[0], "rad/s", f"the first link {clipped}"),
            Parameter(
                "max_speed_2", MAX_SPEED[1], 0.1, MAX_SPEED[1], "rad/s", f"the second link {clipped}, by the first"
            ),
            Parameter("goal_height", 1.0, -2.0, 2.0, "links", "how far above the hinge the tip has to get"),
            Parameter("dt", 0.2, 1e-3, 0.5, "s", "time between two steps"),
        )

    def initial(self, params: EnvParams, key: Key) -> Links:
        return jax.random.uniform(key, (4,), minval=-START_RANGE, maxval=START_RANGE)

    def observe(self, params: EnvParams, state: Links) -> Float[Array, " 6"]:
        first, second, speed, turn = state
        return jnp.stack([jnp.cos(first), jnp.sin(first), jnp.cos(second), jnp.sin(second), speed, turn])

    def transition(self, params: EnvParams, state: Links, action: Int[Array, ""], key: Key) -> Links:
        torque, dt = params["torque"] * (action - 1), params["dt"]
        k1 = _time_derivative(params, state, torque)
        k2 = _time_derivative(params, state + dt / 2 * k1, torque)
        k3 = _time_derivative(params, state + dt / 2 * k2, torque)
        k4 = _time_derivative(params, state + dt * k3, torque)
        first, second, speed, turn = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        speed = jnp.clip(speed, -params["max_speed_1"], params["max_speed_1"])
        turn = jnp.clip(turn, -params["max_speed_2"], params["max_speed_2"])
        return jnp.stack([_wrap_angle(first), _wrap_angle(second), speed, turn])

    def cumulants(
        self, params: EnvParams, state: Links, action: Int[Array, ""], next_state: Links
    ) -> Float[Array, " 1"]:
        return -1.0 + self.terminal(params, next_state).astype(jnp.float32)[None]

    def terminal(self, params: EnvParams, state: Links) -> Bool[Array, ""]:
        first, second, _, _ = state
        length_1, length_2 = params["length_1"], params["length_2"]
        height = -length_1 * jnp.cos(first) - length_2 * jnp.cos(first + second)
        return height > params["goal_height"] * (length_1 + length_2) / 2

    def draw(self, params: EnvParams, state: Links) -> Drawing:
        first, second, _, _ = map(float, state)
        length_1, length_2 = float(params["length_1"]), float(params["length_2"])
        reach, unit = 1.1 * (length_1 + length_2), (length_1 + length_2) / 2
        joint = length_1 * math.sin(first), -length_1 * math.cos(first)
        tip = joint[0] + length_2 * math.sin(first + second), joint[1] - length_2 * math.cos(first + second)
        goal = float(params["goal_height"]) * unit
        shapes = (
            Line(((-reach, goal), (reach, goal)), 0.03 * unit, "goal"),
            Line(((0.0, 0.0), joint), 0.16 * unit, "limb"),
            Line((joint, tip), 0.16 * unit, "limb"),
            Disc((0.0, 0.0), 0.05 * unit, "body"),
            Disc(joint, 0.05 * unit, "mark"),
        )
        return Drawing((-reach, -reach), (reach, reach), shapes)


def _time_derivative(params: EnvParams, state: Links, torque: Float[Array, ""]) -> Links:
    """Returns the time derivative of the state: mass matrix · acceleration = torques, for two links."""
    first, second, speed, turn = state
    m1, m2, c1, c2 = (params[name] for name in ("mass_1", "mass_2", "centre_1", "centre_2"))
    l1, inertia, gravity = params["length_1"], params["inertia"], params["gravity"]
    cos, sin = jnp.cos(second), jnp.sin(second)
    m22 = m2 * c2**2 + inertia  # the mass matrix: [[m11, m12], [m12, m22]]
    m12 = m22 + m2 * l1 * c2 * cos
    m11 = m1 * c1**2 + m2 * l1 * (l1 + c2 * cos) + inertia + m12
    pull_2 = m2 * c2 * gravity * jnp.sin(first + second)
    pull_1 = (m1 * c1 + m2 * l1) * gravity * jnp.sin(first) + pull_2
    swing = m2 * l1 * c2 * sin
    bias_1 = pull_1 - swing * turn * (turn + 2 * speed)
    bias_2 = pull_2 + swing * speed**2
    turn_up = (torque - bias_2 + m12 / m11 * bias_1) / (m22 - m12**2 / m11)
    return jnp.stack([speed, turn, -(m12 * turn_up + bias_1) / m11, turn_up])


def _wrap_angle(angle: Float[Array, ""]) -> Float[Array, ""]:
    return (angle + math.pi) % (2 * math.pi) - math.pi
