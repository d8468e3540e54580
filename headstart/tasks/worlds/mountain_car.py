"""MountainCar-v0: drive a car that is too weak for the hill to its right, by a run-up on the hill to its left.

Moore's car (1990) with Sutton and Barto's equations, as in `gymnasium/envs/classic_control/mountain_car.py`: time is in
steps, so that force and gravity are changes of speed per step. The hills are sin(3 x).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing, Line, Polygon
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, components

LEFT, RIGHT = -1.2, 0.6  # m, ends of the road
MAX_SPEED = 0.07  # m/step
START_RANGE = -0.6, -0.4  # m; it starts at rest

Car = Float[Array, " 2"]  # position (m), its speed (m/step)


class MountainCar(Env):
    """Gymnasium's MountainCar-v0 with its constants as parameters. -1 per step until the car is at the flag."""

    @property
    def name(self) -> str:
        return "MountainCar-v0"

    @property
    def horizon(self) -> int:
        return 200

    @property
    def observation_space(self) -> Box:
        return ROAD

    @property
    def action_space(self) -> Discrete:
        return Discrete(3, components("left", "nothing", "right"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return parameters(force=0.001, goal=0.5)

    def initial(self, params: EnvParams, key: Key) -> Car:
        return start(key)

    def observe(self, params: EnvParams, state: Car) -> Float[Array, " 2"]:
        return state

    def transition(self, params: EnvParams, state: Car, action: Int[Array, ""], key: Key) -> Car:
        return roll(params, state, (action - 1).astype(jnp.float32))

    def cumulants(self, params: EnvParams, state: Car, action: Int[Array, ""], next_state: Car) -> Float[Array, " 1"]:
        return -jnp.ones(1)

    def terminal(self, params: EnvParams, state: Car) -> Bool[Array, ""]:
        return arrived(params, state)

    def draw(self, params: EnvParams, state: Car) -> Drawing:
        return picture(params, state)


# ------------------------------------------------------------------------- shared with the car of continuous actions

ROAD = Box((LEFT, -MAX_SPEED), (RIGHT, MAX_SPEED), components=components("car_position", "car_velocity"))


def parameters(force: float, goal: float) -> tuple[Parameter, ...]:
    """Returns the parameters of either car."""
    return (
        Parameter("force", force, -1.0, 1.0, "m/step²", "what full throttle adds to the speed; below 0, the other way"),
        Parameter("gravity", 0.0025, 0.0, 1.0, "m/step²", "what the steepest slope adds to the speed"),
        Parameter("max_speed", MAX_SPEED, 1e-3, MAX_SPEED, "m/step", "the car goes no faster than this"),
        Parameter("min_position", LEFT, LEFT, -0.6, "m", "a wall at the road's left end: it stops the car"),
        Parameter("max_position", RIGHT, -0.4, RIGHT, "m", "the road's right end: the car gets no farther"),
        Parameter("goal_position", goal, LEFT, RIGHT, "m", "where the flag is"),
        Parameter(
            "goal_velocity", 0.0, -MAX_SPEED, MAX_SPEED, "m/step", "no slower than this the car must pass the flag"
        ),
    )


def start(key: Key) -> Car:
    low, high = START_RANGE
    return jnp.stack([jax.random.uniform(key, (), minval=low, maxval=high), jnp.zeros(())])


def roll(params: EnvParams, state: Car, throttle: Float[Array, ""]) -> Car:
    """Returns the car after one step. The left end stops it; at the right end it stays and keeps its speed."""
    position, speed = state
    speed = speed + throttle * params["force"] - params["gravity"] * jnp.cos(3 * position)
    speed = jnp.clip(speed, -params["max_speed"], params["max_speed"])
    position = jnp.clip(position + speed, params["min_position"], params["max_position"])
    stopped = (position == params["min_position"]) & (speed < 0)
    return jnp.stack([position, jnp.where(stopped, 0.0, speed)])


def arrived(params: EnvParams, state: Car) -> Bool[Array, ""]:
    position, speed = state
    return (position >= params["goal_position"]) & (speed >= params["goal_velocity"])


def picture(params: EnvParams, state: Car) -> Drawing:
    low, high = float(params["min_position"]), float(params["max_position"])
    place, flag = float(state[0]), float(params["goal_position"])
    height = lambda x: 0.45 * math.sin(3 * x) + 0.55
    road = tuple((x, height(x)) for x in (low + i / 60 * (high - low) for i in range(61)))
    tilt = math.atan(1.35 * math.cos(3 * place))
    cos, sin = math.cos(tilt), math.sin(tilt)

    def on_car(ahead: float, above: float) -> tuple[float, float]:
        return place + ahead * cos - above * sin, height(place) + ahead * sin + above * cos

    top = height(flag) + 0.22
    shapes = (
        Polygon((*road, (high, 0.0), (low, 0.0)), "ground"),
        Line(((flag, height(flag)), (flag, top)), 0.012, "body"),
        Polygon(((flag, top), (flag + 0.1, top - 0.04), (flag, top - 0.08)), "goal"),
        Polygon((on_car(-0.08, 0.03), on_car(0.08, 0.03), on_car(0.05, 0.1), on_car(-0.06, 0.1)), "limb"),
        Disc(on_car(-0.05, 0.03), 0.03, "body"),
        Disc(on_car(0.05, 0.03), 0.03, "body"),
    )
    return Drawing((LEFT - 0.15, 0.0), (RIGHT + 0.15, 1.3), shapes)
