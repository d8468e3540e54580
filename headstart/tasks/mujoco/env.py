"""A MuJoCo robot as an env, with C MuJoCo or MJX as its simulator."""

import importlib.util
from typing import Any, Literal

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from headstart.core.drawing import Drawing
from headstart.core.errors import InputError
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, Record
from headstart.tasks.mujoco.callback import c_simulator
from headstart.tasks.mujoco.drawing import drawing
from headstart.tasks.mujoco.naming import motors
from headstart.tasks.mujoco.physics import physics
from headstart.tasks.mujoco.robot import Robot
from headstart.tasks.mujoco.robots import ROBOTS

NAMES: tuple[str, ...] = tuple(ROBOTS)


class State(Record):
    """The simulator's state, and the results of the last step."""

    carry: Num[Array, "*rows carried"]  # the simulator's own state: bits of float64 (C), or float32 (MJX)
    observation: Float[Array, "*rows observation"]
    cumulants: Float[Array, "*rows cumulant"]  # of the step that led here; zero at the start
    terminal: Bool[Array, "*rows"]


class MujocoEnv(Env):
    """One of Gymnasium's v5 robots: its spaces, observations, rewards, terminations, horizon and initial states.

    With `simulator="c"` it equals Gymnasium's step by step. `headstart.tasks.mujoco.parameters` lists its parameters;
    the model's own values are nominal.
    """

    robot_id: str = eqx.field(static=True)
    simulator: Literal["c", "mjx"] = eqx.field(static=True)

    @property
    def name(self) -> str:
        return self.robot_id

    @property
    def horizon(self) -> int:
        steps = gymnasium.spec(self.robot_id).max_episode_steps
        assert steps is not None
        return steps

    @property
    def observation_space(self) -> Box:
        names = self._robot.names(physics(self.robot_id).model)
        return Box((-np.inf,) * len(names), (np.inf,) * len(names), components=names)

    @property
    def action_space(self) -> Box:
        model = physics(self.robot_id).model
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        return Box(tuple(low.tolist()), tuple(high.tolist()), components=motors(model))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return physics(self.robot_id).table.listed

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        return physics(self.robot_id).table.derived_from(name)

    @property
    def dt(self) -> float:
        return float(physics(self.robot_id).model.opt.timestep) * self._robot.frame_skip

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return tuple(self._robot.rewards)

    @property
    def defaults(self) -> dict[str, float]:
        return {}

    def initial(self, params: EnvParams, key: Key) -> State:
        self._check(params)
        rest = physics(self.robot_id).rest
        rest_state = jnp.asarray(rest.qpos, jnp.float32), jnp.asarray(rest.qvel, jnp.float32)
        carry, observation = self._physics.start(params, *self._robot.reset.draw(key, *rest_state))
        return State(carry, observation, jnp.zeros(len(self.cumulant_names)), jnp.zeros((), bool))

    def observe(self, params: EnvParams, state: State) -> Float[Array, " observation"]:
        return state.observation

    def transition(self, params: EnvParams, state: State, action: Array, key: Key) -> State:
        self._check(params)
        return State(*self._physics.step(params, state.carry, action))

    def cumulants(self, params: EnvParams, state: State, action: Array, next_state: State) -> Float[Array, " cumulant"]:
        return next_state.cumulants

    def terminal(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return state.terminal

    def draw(self, params: EnvParams, state: State) -> Drawing:
        return drawing(self.robot_id, physics_state(self, state)[0])

    @property
    def _robot(self) -> Robot:
        return ROBOTS[self.robot_id]

    @property
    def _physics(self) -> Any:
        """The simulator, with `start` and `step`: C MuJoCo or MJX."""
        if self.simulator == "c":
            return c_simulator(self.robot_id)
        from headstart.tasks.mujoco.mjx import mjx_simulator  # an extra, and slow to import

        return mjx_simulator(self.robot_id)

    def _check(self, params: EnvParams) -> None:
        physics(self.robot_id).table.check(tuple(params), self.robot_id)


def make(name: str, physics: Literal["c", "mjx", "auto"] = "auto") -> Env:
    """Returns the robot `name` (one of `NAMES`), stepped by C MuJoCo (`c`) or by MJX (`mjx`).

    `auto` is MJX if JAX has an accelerator and MJX is installed and can run the robot. Raises InputError if there is no
    such robot, or if MJX is requested and is not installed or cannot run it.
    """
    if name not in ROBOTS:
        raise InputError(f"There is no MuJoCo robot {name!r}; there are {', '.join(NAMES)}.")
    installed = importlib.util.find_spec("mujoco.mjx") is not None
    if physics == "mjx":
        if not installed:
            raise InputError('physics="mjx" needs MJX, which is not installed: `pip install "headstart[mjx]"`.')
        if reason := _why_not_in_mjx(name):
            raise InputError(f'{name} does not run in MJX ({reason}): use physics="c".')
    if physics == "auto":
        prefers_mjx = installed and jax.default_backend() != "cpu"
        physics = "mjx" if prefers_mjx and not _why_not_in_mjx(name) else "c"
    return MujocoEnv(name, physics)


def _why_not_in_mjx(name: str) -> str | None:
    from headstart.tasks.mujoco.mjx import why_not  # an extra, and slow to import

    return why_not(name)


def physics_state(env: Env, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Returns (qpos, qvel) of one state, in float64, as Gymnasium's `set_state` takes them."""
    model = physics(env.name).model
    carry = np.asarray(state.carry)
    values = carry.view(np.float64) if carry.dtype == np.uint32 else carry.astype(np.float64)
    end = 1 + model.nq
    return values[1:end].copy(), values[end : end + model.nv].copy()
