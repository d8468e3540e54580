"""An env around another env."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.env import Env, EnvParams, GoalFunctions, Key, Parameter, PyTree, RewardFunction
from headstart.core.spaces import ActionSpace, Observation, ObservationSpace


class Wrapper(Env):
    """An env around another. A subclass defines what it changes; everything else is the inner env's.

    A subclass with parameters or data of its own names them in `own_params`; the inner env does not receive them. A
    subclass whose state holds more than the inner env's defines `wrap`, `inner_state` and `with_inner_state`. One that
    task strings cannot make again from its parameters has a `name` of its own.
    """

    env: Env = eqx.field(static=True)

    @property
    def own_params(self) -> tuple[str, ...]:
        """The names of the entries of `params` that belong to this wrapper."""
        return ()

    def inner_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the entries of `params` that belong to the inner env."""
        return {name: value for name, value in params.items() if name not in self.own_params}

    def wrap(self, params: EnvParams, inner: PyTree, key: Key) -> PyTree:
        """Returns the first state of an episode whose inner env starts in `inner`."""
        return inner

    def inner_state(self, state: PyTree) -> PyTree:
        """Returns the inner env's state."""
        return state

    def with_inner_state(self, state: PyTree, inner: PyTree) -> PyTree:
        """Returns the state with another state of the inner env."""
        return inner

    def _with_env(self, env: Env) -> "Wrapper":
        return dataclasses.replace(self, env=env)

    # ------------------------------------------------------------------------------- descriptions

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
        return self.env.parameters

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
    def label_names(self) -> tuple[str, ...]:
        return self.env.label_names

    @property
    def defaults(self) -> Mapping[str, float]:
        return self.env.defaults

    @property
    def data_names(self) -> tuple[str, ...]:
        return self.env.data_names

    def unlisted_parameter(self, name: str) -> Parameter | None:
        return self.env.unlisted_parameter(name)

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        return self.env.derived_from(name)

    def with_parameters(self, params: Mapping[str, Any]) -> Env:
        return self._with_env(self.env.with_parameters(self.inner_params(params)))

    def merged_with(self, other: Env) -> Env:
        if not isinstance(other, Wrapper) or other._with_env(self.env) != self:
            return self
        return self._with_env(self.env.merged_with(other.env))

    # ------------------------------------------------------------------------------- the MDP

    def initial(self, params: EnvParams, key: Key) -> PyTree:
        return self.wrap(params, self.env.initial(self.inner_params(params), key), key)

    def initial_where(self, params: EnvParams, wanted: Bool[Array, ""], key: Key) -> PyTree:
        return self.wrap(params, self.env.initial_where(self.inner_params(params), wanted, key), key)

    def reset_next(self, params: EnvParams, state: PyTree, ended: Bool[Array, ""], key: Key) -> PyTree:
        inner = self.env.reset_next(self.inner_params(params), self.inner_state(state), ended, key)
        return self.wrap(params, inner, key)

    def observe(self, params: EnvParams, state: PyTree) -> Observation:
        return self.env.observe(self.inner_params(params), self.inner_state(state))

    def transition(self, params: EnvParams, state: PyTree, action: Array, key: Key) -> PyTree:
        inner = self.env.transition(self.inner_params(params), self.inner_state(state), action, key)
        return self.with_inner_state(state, inner)

    def cumulants(
        self, params: EnvParams, state: PyTree, action: Array, next_state: PyTree
    ) -> Float[Array, " cumulant"]:
        states = self.inner_state(state), self.inner_state(next_state)
        return self.env.cumulants(self.inner_params(params), states[0], action, states[1])

    def terminal(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        return self.env.terminal(self.inner_params(params), self.inner_state(state))

    def truncated(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        return self.env.truncated(self.inner_params(params), self.inner_state(state))

    # ------------------------------------------------------------------------------- more about the MDP

    @property
    def goal(self) -> GoalFunctions | None:
        """The inner env's, if this wrapper changes neither observations nor rewards."""
        return self.env.goal if self._unchanged("observe", "cumulants") else None

    @property
    def reward_of(self) -> RewardFunction | None:
        """The inner env's, if this wrapper changes neither observations nor actions nor rewards."""
        return self.env.reward_of if self._unchanged("observe", "transition", "cumulants") else None

    def _unchanged(self, *methods: str) -> bool:
        return all(getattr(type(self), method) is getattr(Wrapper, method) for method in methods)

    @property
    def bounded_observations(self) -> bool:
        return self.env.bounded_observations

    # ------------------------------------------------------------------------------- pictures

    @property
    def drawable(self) -> bool:
        return self.env.drawable

    def draw(self, params: EnvParams, state: PyTree) -> Drawing | None:
        return self.env.draw(self.inner_params(params), self.inner_state(state))

    def rendered(self) -> Env | None:
        inner = self.env.rendered()
        return None if inner is None else self._with_env(inner)

    def render(self, state: PyTree) -> np.ndarray | None:
        return self.env.render(self.inner_state(state))

    # ------------------------------------------------------------------------------- what lies inside

    @property
    def unwrapped(self) -> Env:
        return self.env.unwrapped

    def unwrapped_state(self, state: PyTree) -> PyTree:
        return self.env.unwrapped_state(self.inner_state(state))

    @property
    def stateful(self) -> bool:
        return self.env.stateful

    def idle(self, state: PyTree) -> PyTree:
        return self.with_inner_state(state, self.env.idle(self.inner_state(state)))

    def close(self, state: PyTree) -> None:
        self.env.close(self.inner_state(state))

    def closing_on_error(self) -> contextlib.AbstractContextManager[None]:
        return self.env.closing_on_error()

    def pop_failures(self) -> dict[int, str]:
        return self.env.pop_failures()
