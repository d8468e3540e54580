"""What an environment is: pure functions of one state, and the parameters in which its tasks may differ."""

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.spaces import ActionSpace, Image, Observation, ObservationSpace

PyTree = Any
Key = Array
EnvParams = dict[str, Any]  # numbers by name, and for an env with `data_names` a pytree of arrays for each of them


IntegerRange = Literal["never", "from whole ends", "always"]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number in which tasks of one env may differ."""

    name: str
    nominal: float
    low: float
    high: float
    unit: str
    description: str
    integer: IntegerRange = "never"  # whether a range of it draws integers: never, if both ends are integers, or always


class GoalFunctions(NamedTuple):
    """What a goal-conditioned method asks of an env. All four are pure functions of observations and goals."""

    achieved: Callable[[Observation], Array]  # the goal that this observation reaches
    desired: Callable[[Observation], Array]  # the goal that this observation asks for
    with_goal: Callable[[Observation, Array], Observation]  # the observation, asking for another goal
    reward: Callable[[Array, Array], Float[Array, " cumulant"]]  # of (achieved after a step, desired); see `Env.goal`


RewardFunction = Callable[[Observation, Array, Observation], Float[Array, " cumulant"]]


class Env(eqx.Module):
    """An MDP with its parameters left open: five pure functions of `params`, each of one state (no batch axis).

    An env that cannot be a pure function, since something outside of the program plays it, sets `stateful` and has the
    hooks at the end.

    Every field of an env is static: an env is code, shared by its tasks and compared by value.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The env's id, such as `Hopper-v5`."""

    @property
    @abc.abstractmethod
    def horizon(self) -> int:
        """Steps after which an episode is truncated. Truncation is no termination: values still bootstrap."""

    @property
    @abc.abstractmethod
    def observation_space(self) -> ObservationSpace: ...

    @property
    @abc.abstractmethod
    def action_space(self) -> ActionSpace: ...

    @property
    @abc.abstractmethod
    def parameters(self) -> tuple[Parameter, ...]: ...

    def unlisted_parameter(self, name: str) -> Parameter | None:
        """Returns a parameter that exists and that `parameters` leaves out; None if there is none of this name."""
        return None

    def with_parameters(self, params: Mapping[str, Any]) -> "Env":
        """Returns the env for tasks with these parameters: numbers and distributions, within their bounds.

        Raises InputError if the env does not take one of them over.
        """
        return self

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        """Returns the parameters that set this one's default: (name, factor) of each."""
        return ()

    def merged_with(self, other: "Env") -> "Env":
        """Returns an env for the tasks of both, if there is one; otherwise this env."""
        return self

    @property
    def dt(self) -> float | None:
        """Seconds between two steps at the nominal parameters; None if the env has no clock."""
        return next((p.nominal for p in self.parameters if p.name == "dt"), None)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was assumed about the spaces of a third-party env, one sentence each."""
        return ()

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        """The names of the cumulants; `reward = cumulants · w`."""
        return ("reward",)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the cumulants that are labels: their weight in a task is 0 where it sets none, else 1."""
        return ()

    @property
    def defaults(self) -> Mapping[str, float]:
        """The values of `params` that a task does not set. Empty for envs that know their nominal values themselves."""
        return {p.name: p.nominal for p in self.parameters}

    @property
    def data_names(self) -> tuple[str, ...]:
        """The names of the entries of `params` that are pytrees of arrays, such as the weights of a frozen network.

        Every task of the env sets all of them. They have no bounds, are not drawn, and have no form in task strings.
        """
        return ()

    @abc.abstractmethod
    def initial(self, params: EnvParams, key: Key) -> PyTree:
        """Returns the first state of an episode."""

    @abc.abstractmethod
    def observe(self, params: EnvParams, state: PyTree) -> Observation:
        """Returns what the agent observes."""

    @abc.abstractmethod
    def transition(self, params: EnvParams, state: PyTree, action: Array, key: Key) -> PyTree:
        """Returns the next state. `action` is in the env's units and within its bounds."""

    @abc.abstractmethod
    def cumulants(
        self, params: EnvParams, state: PyTree, action: Array, next_state: PyTree
    ) -> Float[Array, " cumulant"]:
        """Returns the parts of the reward (φ)."""

    @abc.abstractmethod
    def terminal(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        """Returns whether the MDP ends in this state."""

    # ------------------------------------------------------------------------------- optional: more about the MDP

    @property
    def goal(self) -> GoalFunctions | None:
        """The goals of an env whose observation holds one; None for others.

        `goal.reward` returns the cumulants that depend on the goal, and 0 for the others, so that relabelled cumulants
        are `cumulants - reward(achieved, old) + reward(achieved, new)`.
        """
        return None

    @property
    def reward_of(self) -> RewardFunction | None:
        """The cumulants as a function of (observation, action, next observation); None if they are no such function.

        The action is in the env's units, as `transition` takes it.
        """
        return None

    @property
    def bounded_observations(self) -> bool:
        """Whether observations stay within the bounds of `observation_space`."""
        return True

    # ------------------------------------------------------------------------------- optional: pictures, for people

    @property
    def drawable(self) -> bool:
        """Whether `draw` returns a drawing."""
        return type(self).draw is not Env.draw

    def draw(self, params: EnvParams, state: PyTree) -> Drawing | None:
        """Returns a drawing of a state; None if the env has none. It is never called from compiled code."""
        return None

    def rendered(self) -> "Env | None":
        """Returns this env, set up so that its states can be shown; None if there is no way to show them."""
        return self if self.drawable or isinstance(self.observation_space, Image) else None

    def render(self, state: PyTree) -> np.ndarray | None:
        """Returns the picture [height width 3] that the env's own renderer makes of a state; None if it has none.

        Raises InputError if the renderer fails.
        """
        return None

    # ------------------------------------------------------------------------------- wrappers

    @property
    def unwrapped(self) -> "Env":
        """The innermost env: this one, unless it is a `Wrapper`."""
        return self

    def unwrapped_state(self, state: PyTree) -> PyTree:
        """Returns the state of `unwrapped` within a state of this env."""
        return state

    # ------------------------------------------------------------------------------- for envs that are not pure

    @property
    def stateful(self) -> bool:
        """Whether a state stands for something outside of the program. Each such state can be stepped only once."""
        return False

    def reset_next(self, params: EnvParams, state: PyTree, ended: Bool[Array, ""], key: Key) -> PyTree:
        """Returns the first state of the episode after the one that reached `state`, if that one `ended`."""
        return self.initial(params, key)

    def truncated(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        """Returns whether the env truncates the episode in this state, besides its horizon."""
        return jnp.zeros((), bool)

    def initial_where(self, params: EnvParams, wanted: Bool[Array, ""], key: Key) -> PyTree:
        """Returns the first state of an episode, if it is `wanted`; a stateful env starts no other."""
        return self.initial(params, key)

    def idle(self, state: PyTree) -> PyTree:
        """Returns a copy of the state whose steps touch nothing outside of the program."""
        return state

    def close(self, state: PyTree) -> None:
        """Release what a state stands for outside of the program. The state cannot be used afterwards."""

    def closing_on_error(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context that closes the states made in it if an error leaves it."""
        return contextlib.nullcontext()

    def pop_failures(self) -> dict[int, str]:
        """Returns why states of this kind of env broke, by seed (counted from 0), since the last call."""
        return {}
