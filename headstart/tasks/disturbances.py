"""Disturbances of any env: delayed actions, noisy actions and noisy observations.

They are parameters like any other (`Hopper-v5@action_delay=2,observation_noise=0.05`), so that they can be drawn,
swept and transferred across. An env is wrapped only if one of its tasks names them.
"""

from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.env import GoalFunctions
from headstart.core.errors import InputError
from headstart.core.spaces import Observation
from headstart.core.types import Box, Env, EnvParams, Image, Key, Parameter, PyTree, Record
from headstart.core.wrapper import Wrapper

MAX_DELAY = 10  # steps
ACTION_STREAM, OBSERVATION_STREAM = 0x5EED_AC70, 0x5EED_0B50  # folded into keys, so as not to repeat the env's numbers

DELAY = Parameter(
    "action_delay", 0.0, 0.0, MAX_DELAY, "steps", "each action is executed this much later; rounded to a whole step"
)
ACTION_NOISE = Parameter(
    "action_noise", 0.0, 0.0, 2.0, "half ranges", "standard deviation of noise on each action, which stays in bounds"
)
OBSERVATION_NOISE = Parameter(
    "observation_noise", 0.0, 0.0, 100.0, "as observed", "standard deviation of noise on each number observed"
)


class State(Record):
    """The inner env's state, and what the disturbances remember."""

    inner: PyTree
    pending: Array  # [10 or 0, *action] actions that are not executed yet, newest first
    executed: Array  # [*action] the last action that the inner env executed
    noise: Float[Array, "*observation"]  # on the current observation, in standard deviations; [0] without that noise


class Disturbed(Wrapper):
    """An env with late actions, noisy actions or noisy observations: the disturbances in `names`.

    A disturbance of 0 leaves the env exactly as it is, its random numbers included (compiled programs may round
    differently). Rewards and terminations are the inner env's, for the actions that it executed. `disturb` makes it.
    """

    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def own_params(self) -> tuple[str, ...]:
        return self.names

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.env.parameters + tuple(p for p in offered(self.env) if p.name in self.names)

    @property
    def defaults(self) -> dict[str, float]:
        return {**self.env.defaults, **dict.fromkeys(self.names, 0.0)}

    @property
    def goal(self) -> GoalFunctions | None:
        return self.env.goal if OBSERVATION_NOISE.name not in self.names else None

    @property
    def bounded_observations(self) -> bool:
        return self.env.bounded_observations and OBSERVATION_NOISE.name not in self.names

    def wrap(self, params: EnvParams, inner: PyTree, key: Key) -> State:
        nothing = self._no_action()
        pending = jnp.stack([nothing] * MAX_DELAY) if DELAY.name in self.names else jnp.zeros((0, *nothing.shape))
        return State(inner, pending, nothing, self._draw_noise(key))

    def inner_state(self, state: State) -> PyTree:
        return state.inner

    def with_inner_state(self, state: State, inner: PyTree) -> State:
        return state.replace(inner=inner)

    def observe(self, params: EnvParams, state: State) -> Observation:
        observation = super().observe(params, state)
        if OBSERVATION_NOISE.name in self.names:
            return observation + params[OBSERVATION_NOISE.name] * state.noise
        return observation

    def transition(self, params: EnvParams, state: State, action: Array, key: Key) -> State:
        pending = state.pending
        if DELAY.name in self.names:
            queue = jnp.concatenate([action[None].astype(pending.dtype), pending])
            delay = jnp.clip(jnp.round(params[DELAY.name]), 0, MAX_DELAY).astype(jnp.int32)
            action, pending = queue[delay], queue[:-1]
        if ACTION_NOISE.name in self.names:
            action = self._with_noise(params[ACTION_NOISE.name], action, key)
        inner = self.env.transition(self.inner_params(params), state.inner, action, key)
        return State(inner, pending, action.astype(state.executed.dtype), self._draw_noise(key))

    def cumulants(self, params: EnvParams, state: State, action: Array, next_state: State) -> Float[Array, " cumulant"]:
        return super().cumulants(params, state, next_state.executed, next_state)

    def _no_action(self) -> Array:
        """Returns the action that is executed until the first delayed one: zero, or choice 0."""
        space = self.action_space
        if isinstance(space, Box):
            return jnp.clip(jnp.zeros(space.size), jnp.array(space.low), jnp.array(space.high))
        return jnp.zeros((), jnp.int32)

    def _with_noise(
        self, deviation: Float[Array, ""], action: Float[Array, " action"], key: Key
    ) -> Float[Array, " action"]:
        assert isinstance(self.action_space, Box)
        low, high = jnp.array(self.action_space.low), jnp.array(self.action_space.high)
        half = jnp.where(jnp.isfinite(high - low), 0.5 * (high - low), 1.0)
        noise = jax.random.normal(jax.random.fold_in(key, ACTION_STREAM), action.shape)
        return jnp.clip(action + deviation * half * noise, low, high)

    def _draw_noise(self, key: Key) -> Float[Array, "*observation"]:
        size = self.observation_space.size if OBSERVATION_NOISE.name in self.names else 0
        return jax.random.normal(jax.random.fold_in(key, OBSERVATION_STREAM), (size,))


def offered(env: Env) -> tuple[Parameter, ...]:
    """Returns the disturbances that an env can have: no noise on discrete actions, and none on images."""
    action_noise = (ACTION_NOISE,) if isinstance(env.action_space, Box) else ()
    observation_noise = () if isinstance(env.observation_space, Image) else (OBSERVATION_NOISE,)
    return (DELAY, *action_noise, *observation_noise)


def disturb(env: Env, names: Iterable[str]) -> Env:
    """Returns the env with those disturbances that are among `names`; the env itself if none is.

    Raises InputError for noise on discrete actions or on images.
    """
    wanted = set(names)
    if isinstance(env, Disturbed):
        env, wanted = env.env, wanted | set(env.names)
    if ACTION_NOISE.name in wanted and ACTION_NOISE not in offered(env):
        raise InputError(
            f"{env.name} has no action_noise, because its actions are discrete; use action_delay or observation_noise."
        )
    if OBSERVATION_NOISE.name in wanted and OBSERVATION_NOISE not in offered(env):
        raise InputError(f"{env.name} has no observation_noise, because it observes images; use action_delay.")
    present = {p.name for p in env.parameters}  # of a disturbed env within another wrapper
    used = tuple(p.name for p in offered(env) if p.name in wanted - present)
    return Disturbed(env, used) if used else env
