"""MountainCarContinuous-v0: the mountain car with a throttle, rewarded for arriving and charged for fuel.

The equations of `gymnasium/envs/classic_control/continuous_mountain_car.py`: those of MountainCar-v0 with a stronger
motor and a nearer flag.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, components
from headstart.tasks.worlds.mountain_car import ROAD, Car, arrived, parameters, picture, roll, start


class MountainCarContinuous(Env):
    """Gymnasium's MountainCarContinuous-v0 with its constants as parameters. 100 at the flag, minus 0.1 throttle²."""

    @property
    def name(self) -> str:
        return "MountainCarContinuous-v0"

    @property
    def horizon(self) -> int:
        return 999

    @property
    def observation_space(self) -> Box:
        return ROAD

    @property
    def action_space(self) -> Box:
        return Box((-1.0,), (1.0,), components=components("throttle"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return parameters(force=0.0015, goal=0.45)

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_goal", "reward_ctrl")

    def initial(self, params: EnvParams, key: Key) -> Car:
        return start(key)

    def observe(self, params: EnvParams, state: Car) -> Float[Array, " 2"]:
        return state

    def transition(self, params: EnvParams, state: Car, action: Float[Array, " 1"], key: Key) -> Car:
        return roll(params, state, action[0])

    def cumulants(
        self, params: EnvParams, state: Car, action: Float[Array, " 1"], next_state: Car
    ) -> Float[Array, " 2"]:
        return jnp.stack([100.0 * arrived(params, next_state), -0.1 * action[0] ** 2])

    def terminal(self, params: EnvParams, state: Car) -> Bool[Array, ""]:
        return arrived(params, state)

    def draw(self, params: EnvParams, state: Car) -> Drawing:
        return picture(params, state)
