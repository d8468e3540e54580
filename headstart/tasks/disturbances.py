"""What stands between an agent and its world, for any env: late actions, rough actuators, noisy sensors.

They are parameters like any other (`Hopper-v5@action_delay=2,observation_noise=0.05`), so that they can be drawn,
swept and transferred across; only an env some task of which names them pays for them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.errors import InputError
from headstart.core.spaces import Observation, ObservationSpace
from headstart.core.types import ActionSpace, Box, Env, EnvParams, Image, Key, Parameter, PyTree, Record

LONGEST = 10  # steps of delay
FOR_ACTIONS, FOR_SENSORS = 0x5EED_AC70, 0x5EED_0B50  # streams apart from any that the env inside makes of its key

DELAY = Parameter(
    "action_delay", 0.0, 0.0, LONGEST, "steps", "each action acts this much later; rounded to a whole step"
)
ROUGHNESS = Parameter(
    "action_noise", 0.0, 0.0, 2.0, "half ranges", "standard deviation of noise on each action, which stays in bounds"
)
BLUR = Parameter(
    "observation_noise", 0.0, 0.0, 100.0, "as observed", "standard deviation of noise on each number observed"
)


class State(Record):
    """The world's own state, and what the disturbances remember."""

    inner: PyTree
    waiting: Array  # [10 or 0, *action] chosen actions that have not acted yet, newest first
    acted: Array  # [*action] what last reached the world
    noise: Float[Array, "*observation"]  # on what is seen now, in standard deviations; [0] where there is none


class Disturbed(Env):
    """An env whose actions come late or rough, or whose observations are noisy: those in `names`, no other.

    At 0 each leaves the env as it is, its random numbers included (but for how a compiler rounds another program).
    Rewards and ends are those of the world inside: of what really happened, by the actions that really acted. Make it
    with `disturb`.
    """

    env: Env = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def name(self) -> str:
        return self.env.name

    @property
    def horizon(self) -> int:
        return self.env.horizon

    @property
    def observation_space(self) -> ObservationSpace:
        return self.env.observation_space

    @property
    def action_space(self) -> ActionSpace:
        return self.env.action_space

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.env.parameters + tuple(p for p in offered(self.env) if p.name in self.names)

    @property
    def dt(self) -> float | None:
        return self.env.dt

    @property
    def assumptions(self) -> tuple[str, ...]:
        return self.env.assumptions

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return self.env.cumulant_names

    @property
    def defaults(self) -> dict[str, float]:
        return {**self.env.defaults, **dict.fromkeys(self.names, 0.0)}

    def initial(self, params: EnvParams, key: Key) -> State:
        return self._first(self.env.initial(self._own(params), key), key)

    def reset_next(self, params: EnvParams, state: State, ended: Bool[Array, ""], key: Key) -> State:
        return self._first(self.env.reset_next(self._own(params), state.inner, ended, key), key)

    def observe(self, params: EnvParams, state: State) -> Observation:
        seen = self.env.observe(self._own(params), state.inner)
        return seen + params["observation_noise"] * state.noise if "observation_noise" in self.names else seen

    def transition(self, params: EnvParams, state: State, action: Array, key: Key) -> State:
        waiting = state.waiting
        if "action_delay" in self.names:
            line = jnp.concatenate([action[None].astype(waiting.dtype), waiting])
            late = jnp.clip(jnp.round(params["action_delay"]), 0, LONGEST).astype(jnp.int32)
            action, waiting = line[late], line[:-1]
        if "action_noise" in self.names:
            action = self._rough(params["action_noise"], action, key)
        inner = self.env.transition(self._own(params), state.inner, action, key)
        return State(inner, waiting, action.astype(state.acted.dtype), self._blur(key))

    def cumulants(self, params: EnvParams, state: State, action: Array, next_state: State) -> Float[Array, " cumulant"]:
        return self.env.cumulants(self._own(params), state.inner, next_state.acted, next_state.inner)

    def terminal(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return self.env.terminal(self._own(params), state.inner)

    def truncated(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return self.env.truncated(self._own(params), state.inner)

    def draw(self, params: EnvParams, state: State) -> Drawing | None:
        return self.env.draw(self._own(params), state.inner)

    def with_parameters(self, params: Mapping[str, Any]) -> "Disturbed":
        return Disturbed(self.env.with_parameters(self._own(params)), self.names)

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        return self.env.derived_from(name)

    def merged_with(self, other: Env) -> Env:
        if not isinstance(other, Disturbed) or other.names != self.names:
            return self
        return Disturbed(self.env.merged_with(other.env), self.names)

    @property
    def stateful(self) -> bool:
        return self.env.stateful

    def initial_where(self, params: EnvParams, wanted: Bool[Array, ""], key: Key) -> State:
        return self._first(self.env.initial_where(self._own(params), wanted, key), key)

    def idle(self, state: State) -> State:
        return state.replace(inner=self.env.idle(state.inner))

    def close(self, state: State) -> None:
        self.env.close(state.inner)

    def _first(self, inner: PyTree, key: Key) -> State:
        """-> the world's own first state, with nothing to remember yet."""
        still = self._still()
        waiting = jnp.stack([still] * LONGEST) if "action_delay" in self.names else jnp.zeros((0, *still.shape))
        return State(inner, waiting, still, self._blur(key))

    def _own(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """-> the parameters of the env inside."""
        return {name: value for name, value in params.items() if name not in self.names}

    def _still(self) -> Array:
        """-> the action that acts before any other has come through: none, or choice 0."""
        space = self.action_space
        if isinstance(space, Box):
            return jnp.clip(jnp.zeros(space.size), jnp.array(space.low), jnp.array(space.high))
        return jnp.zeros((), jnp.int32)

    def _rough(self, deviation: Float[Array, ""], action: Float[Array, " action"], key: Key) -> Float[Array, " action"]:
        assert isinstance(self.action_space, Box)
        low, high = jnp.array(self.action_space.low), jnp.array(self.action_space.high)
        half = jnp.where(jnp.isfinite(high - low), 0.5 * (high - low), 1.0)
        noise = jax.random.normal(jax.random.fold_in(key, FOR_ACTIONS), action.shape)
        return jnp.clip(action + deviation * half * noise, low, high)

    def _blur(self, key: Key) -> Float[Array, "*observation"]:
        size = self.observation_space.size if "observation_noise" in self.names else 0
        return jax.random.normal(jax.random.fold_in(key, FOR_SENSORS), (size,))


def offered(env: Env) -> tuple[Parameter, ...]:
    """-> the disturbances that this env can have: all three, but no noise on choices and none on bits and bytes."""
    rough = (ROUGHNESS,) if isinstance(env.action_space, Box) else ()
    return (DELAY, *rough) if isinstance(env.observation_space, Image) else (DELAY, *rough, BLUR)


def disturb(env: Env, names: Iterable[str]) -> Env:
    """-> the env with those disturbances that are among `names`; itself, where none is.

    Raises InputError where noise is asked for on discrete actions or on images.
    """
    wanted = set(names)
    if isinstance(env, Disturbed):
        env, wanted = env.env, wanted | set(env.names)
    if ROUGHNESS.name in wanted and ROUGHNESS not in offered(env):
        raise InputError(
            f"{env.name} has no action_noise, because its actions are choices; use action_delay or observation_noise."
        )
    if BLUR.name in wanted and BLUR not in offered(env):
        raise InputError(f"{env.name} has no observation_noise, because it shows images; use action_delay.")
    used = tuple(p.name for p in offered(env) if p.name in wanted)
    return Disturbed(env, used) if used else env
