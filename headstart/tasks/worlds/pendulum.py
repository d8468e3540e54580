"""Pendulum-v1: swing a pendulum up and hold it there, with a motor that is too weak to lift it directly.

The equations of `gymnasium/envs/classic_control/pendulum.py`: a uniform rod, semi-implicit Euler, a clipped speed.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Disc, Drawing, Line
from headstart.core.env import RewardFunction
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, components

TORQUE = 2.0  # N·m, the bound of the action
MAX_SPEED = 8.0  # rad/s

Rod = Float[Array, " 2"]  # angle from upright (rad, within ±π), its speed (rad/s)


class Pendulum(Env):
    """Gymnasium's Pendulum-v1 with its constants as parameters. Each step costs angle² + 0.1 speed² + 0.001 torque².

    The cost is that of the state in which the action was taken. Only the horizon ends an episode.
    """

    @property
    def name(self) -> str:
        return "Pendulum-v1"

    @property
    def horizon(self) -> int:
        return 200

    @property
    def observation_space(self) -> Box:
        names = components("pole_cos", "pole_sin", "pole_angular_velocity rad/s")
        return Box((-1.0, -1.0, -MAX_SPEED), (1.0, 1.0, MAX_SPEED), components=names)

    @property
    def action_space(self) -> Box:
        return Box((-TORQUE,), (TORQUE,), components=components("torque N·m"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        torque = "the motor's limit: what an action asks beyond it is not given (actions reach to 2 whatever this is)"
        return (
            Parameter("gravity", 10.0, 0.0, 100.0, "m/s²", "pull downwards"),
            Parameter("mass", 1.0, 1e-2, 1e2, "kg", "mass of the rod"),
            Parameter("length", 1.0, 1e-1, 1e2, "m", "length of the rod"),
            Parameter("max_torque", TORQUE, 0.0, TORQUE, "N·m", torque),
            Parameter("max_speed", MAX_SPEED, 0.1, MAX_SPEED, "rad/s", "the rod turns no faster than this"),
            Parameter("dt", 0.05, 1e-3, 0.2, "s", "time between two steps"),
        )

    def initial(self, params: EnvParams, key: Key) -> Rod:
        high = jnp.array([math.pi, 1.0])
        return jax.random.uniform(key, (2,), minval=-high, maxval=high)

    def observe(self, params: EnvParams, state: Rod) -> Float[Array, " 3"]:
        angle, speed = state
        return jnp.stack([jnp.cos(angle), jnp.sin(angle), speed])

    def transition(self, params: EnvParams, state: Rod, action: Float[Array, " 1"], key: Key) -> Rod:
        angle, speed = state
        gravity, mass, length, dt = (params[name] for name in ("gravity", "mass", "length", "dt"))
        pull = 3.0 * gravity / (2.0 * length) * jnp.sin(angle)
        speed = speed + (pull + 3.0 / (mass * length**2) * _torque(params, action)) * dt
        speed = jnp.clip(speed, -params["max_speed"], params["max_speed"])
        # Gymnasium lets the angle grow. Wrapped, it is the same angle, and float32 keeps its digits.
        return jnp.stack([_wrap_angle(angle + speed * dt), speed])

    def cumulants(
        self, params: EnvParams, state: Rod, action: Float[Array, " 1"], next_state: Rod
    ) -> Float[Array, " 1"]:
        return _reward(_wrap_angle(state[0]), state[1], _torque(params, action))

    @property
    def reward_of(self) -> RewardFunction:
        """The cumulants of tasks with the nominal `max_torque`. With a smaller one, torque costs less than this."""
        return lambda obs, action, next_obs: _reward(jnp.arctan2(obs[1], obs[0]), obs[2], action[0])

    def terminal(self, params: EnvParams, state: Rod) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def draw(self, params: EnvParams, state: Rod) -> Drawing:
        angle, length = float(state[0]), float(params["length"])
        reach = 1.2 * length
        rod = Line(((0.0, 0.0), (-length * math.sin(angle), length * math.cos(angle))), 0.14 * length, "limb")
        return Drawing((-reach, -reach), (reach, reach), (rod, Disc((0.0, 0.0), 0.05 * length, "body")))


def _reward(angle: Float[Array, ""], speed: Float[Array, ""], torque: Float[Array, ""]) -> Float[Array, " 1"]:
    return -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)[None]


def _torque(params: EnvParams, action: Float[Array, " 1"]) -> Float[Array, ""]:
    return jnp.clip(action[0], -params["max_torque"], params["max_torque"])


def _wrap_angle(angle: Float[Array, ""]) -> Float[Array, ""]:
    return (angle + math.pi) % (2 * math.pi) - math.pi
