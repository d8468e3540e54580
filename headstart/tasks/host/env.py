"""Any Gymnasium env as an `Env`: its states hold handles of live envs outside of the program."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import ShapeDtypeStruct
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Drawing
from headstart.core.errors import InputError
from headstart.core.spaces import ActionSpace, Observation, ObservationSpace
from headstart.core.types import Env, EnvParams, Key, Parameter, Record
from headstart.tasks import distributions
from headstart.tasks.host.calls import on_host, on_rows
from headstart.tasks.host.maker import Maker, describe_error
from headstart.tasks.host.pool import NO_CALLS, Pool, pool
from headstart.tasks.host.spaces import Part

RENDERED = "rgb_array"  # Gymnasium's name of the render mode for images


class State(Record):
    """The handle of a live env, and the result of its last call. Each state can be stepped only once."""

    handle: Int[Array, "*rows"]
    calls: Int[Array, "*rows"]  # number of calls so far; passing it on keeps calls in order
    observation: Float[Array, "*rows observation"]
    reward: Float[Array, "*rows"]
    terminated: Bool[Array, "*rows"]
    truncated: Bool[Array, "*rows"]


class HostEnv(Env):
    """A third-party env, which only Python can step. Make it with `host`.

    At the start of each episode the env gets its parameters and a seed, so that it is as reproducible as others are.
    """

    maker: Maker = eqx.field(static=True)
    steps: int | None = eqx.field(static=True, default=None)  # of an episode, if parameters change the number

    @property
    def name(self) -> str:
        return self.maker.name

    @property
    def horizon(self) -> int:
        return self.pool.horizon if self.steps is None else self.steps

    @property
    def observation_space(self) -> ObservationSpace:
        return self.pool.observations.space

    @property
    def action_space(self) -> ActionSpace:
        return self.pool.action

    @property
    def assumptions(self) -> tuple[str, ...]:
        return self.pool.assumptions

    @property
    def parts(self) -> tuple[Part, ...]:
        """The components of the observation by name, such as a goal env's `desired_goal`."""
        return self.pool.observations.parts

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.pool.catalogue.listed

    def unlisted_parameter(self, name: str) -> Parameter | None:
        return self.pool.catalogue.find(name)

    def with_parameters(self, params: Mapping[str, Any]) -> "HostEnv":
        """Returns the env with the episode length that its own limit has with these parameters.

        The env is made with the parameters (with both ends of a distribution), and they are read back after its first
        steps. Raises InputError if one of them was not kept.
        """
        if not params:
            return self
        names = tuple(sorted(params))
        extremes = np.array([distributions.typical_range(params[name]) for name in names], np.float32)
        steps = max(self.pool.dry_run(names, values) for values in np.unique(extremes.T, axis=0))
        return HostEnv(self.maker, None if steps == self.pool.horizon else steps)

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        return self.pool.catalogue.derived_from(name)

    def merged_with(self, other: Env) -> Env:
        """Returns the env with the longer episodes; the other tasks' envs truncate them by themselves."""
        same_maker = isinstance(other, HostEnv) and other.maker == self.maker
        return other if same_maker and other.horizon > self.horizon else self

    @property
    def defaults(self) -> dict[str, float]:
        return {}

    @property
    def pool(self) -> Pool:
        """The live envs."""
        return pool(self.maker)

    @property
    def stateful(self) -> bool:
        return True

    def initial(self, params: EnvParams, key: Key) -> State:
        names, values = _vector(params)
        return self._call(functools.partial(self.pool.start, names), _seed(key), values)

    def reset_next(self, params: EnvParams, state: State, ended: Bool[Array, ""], key: Key) -> State:
        names, values = _vector(params)
        call = functools.partial(self.pool.reset_next, names)
        return self._call(call, state.handle, state.calls, ended, _seed(key), values)

    def observe(self, params: EnvParams, state: State) -> Observation:
        return self.pool.observations.to_observation(state.observation)

    def transition(self, params: EnvParams, state: State, action: Array, key: Key) -> State:
        return self._call(self.pool.step, state.handle, state.calls, action)

    def cumulants(self, params: EnvParams, state: State, action: Array, next_state: State) -> Float[Array, " cumulant"]:
        return next_state.reward[None]

    def terminal(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return state.terminated

    def truncated(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return state.truncated

    def initial_where(self, params: EnvParams, wanted: Bool[Array, ""], key: Key) -> State:
        names, values = _vector(params)
        return self._call(functools.partial(self.pool.start, names), _seed(key), values, wanted)

    def idle(self, state: State) -> State:
        return state.replace(calls=jnp.full_like(state.calls, NO_CALLS))

    def close(self, state: State) -> None:
        on_host(on_rows(self.pool.release), (ShapeDtypeStruct((), jnp.int32),), state.handle)

    def closing_on_error(self) -> contextlib.AbstractContextManager[None]:
        return self.pool.closing_on_error()

    def pop_failures(self) -> dict[int, str]:
        failures, self.pool.failures = self.pool.failures, {}
        return failures

    @property
    def drawable(self) -> bool:
        return self.pool.catalogue.of_mujoco

    def draw(self, params: EnvParams, state: State) -> Drawing | None:
        """Returns a drawing of a MuJoCo model. MuJoCo's renderer is not used: without OpenGL it may end the process."""
        if not self.pool.catalogue.of_mujoco:
            return None
        from headstart.tasks.mujoco.drawing import overview  # imports all of MuJoCo's robots

        inner: Any = self.pool.env(int(state.handle)).unwrapped
        return overview(inner.model, inner.data)

    def rendered(self) -> Env | None:
        """Returns an env that is made with `render_mode="rgb_array"`, if it can be."""
        if self.drawable:
            return self
        keywords = {**dict(self.maker.keywords), "render_mode": RENDERED}
        maker = dataclasses.replace(self.maker, keywords=tuple(sorted(keywords.items())))
        try:
            pool(maker)
        except InputError:
            return super().rendered()
        return HostEnv(maker, self.steps)

    def render(self, state: State) -> np.ndarray | None:
        if dict(self.maker.keywords).get("render_mode") != RENDERED:
            return None
        from PIL import Image as Picture

        try:
            image = np.asarray(self.pool.env(int(state.handle)).render())
            return np.array(Picture.fromarray(image).convert("RGB"))
        except Exception as error:  # a missing display or library
            raise InputError(f"{self.name} cannot render itself here: {describe_error(error)}.") from None

    def _call(self, call: Any, *args: Array) -> State:
        int32, flag = ShapeDtypeStruct((), jnp.int32), ShapeDtypeStruct((), jnp.bool_)
        obs, reward = ShapeDtypeStruct((self.observation_space.size,), jnp.float32), ShapeDtypeStruct((), jnp.float32)
        return State(*on_host(on_rows(call), (int32, int32, obs, reward, flag, flag), *args))


def _vector(params: EnvParams) -> tuple[tuple[str, ...], Float[Array, " name"]]:
    """Returns the parameters in the order of their names."""
    names = tuple(sorted(params))
    return names, jnp.array([params[name] for name in names], jnp.float32)


def _seed(key: Key) -> Int[Array, ""]:
    return (jax.random.bits(key, (), jnp.uint32) >> 1).astype(jnp.int32)
