"""What a world is: a handful of functions of one state, and the numbers in which its tasks may differ."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Drawing
from headstart.core.spaces import ActionSpace, Observation, ObservationSpace

PyTree = Any
Key = Array
EnvParams = dict[str, Array]


Integer = Literal["never", "from whole ends", "always"]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number in which tasks of one env may differ."""

    name: str
    nominal: float
    low: float
    high: float
    unit: str
    description: str
    integer: Integer = "never"  # whether a range of it draws whole numbers: never, where its ends are whole, or always


class Env(eqx.Module):
    """An MDP with its parameters left open: five pure functions of `params`, each of one state (no batch axis).

    What cannot be one, an env that only goes on, says so by `live`, and has the five hooks at the end.

    Every field of an env is static: an env is code, shared by its tasks and compared by value.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the user calls it, such as `Hopper-v5`."""

    @property
    @abc.abstractmethod
    def horizon(self) -> int:
        """Steps after which an episode is truncated (which is not a termination: what follows still counts)."""

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
        """-> a parameter that is there but is not worth a place in the list; None where there is none."""
        return None

    def with_parameters(self, params: Mapping[str, Any]) -> "Env":
        """Returns the env that plays these parameters: numbers and distributions, within their bounds.

        Raises InputError where one of them does not arrive in it.
        """
        return self

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        """Returns of which other parameters this one is a multiple where it is not given, and of which size."""
        return ()

    def merged_with(self, other: "Env") -> "Env":
        """Returns the env that plays the tasks of both, where one does; else this one."""
        return self

    @property
    def dt(self) -> float | None:
        """Seconds between two steps, where a task says nothing else; None where the env has no clock."""
        return next((p.nominal for p in self.parameters if p.name == "dt"), None)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was assumed of spaces that somebody else wrote down, a sentence each."""
        return ()

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        """The names of the cumulants; `reward = cumulants · w`."""
        return ("reward",)

    @property
    def defaults(self) -> Mapping[str, float]:
        """What `params` holds where a task says nothing. Empty for envs that know their nominals themselves."""
        return {p.name: p.nominal for p in self.parameters}

    @abc.abstractmethod
    def initial(self, params: EnvParams, key: Key) -> PyTree:
        """-> the first state of an episode."""

    @abc.abstractmethod
    def observe(self, params: EnvParams, state: PyTree) -> Observation:
        """-> what the agent sees."""

    @abc.abstractmethod
    def transition(self, params: EnvParams, state: PyTree, action: Array, key: Key) -> PyTree:
        """-> the next state. `action` is in the world's own units and within its bounds."""

    @abc.abstractmethod
    def cumulants(
        self, params: EnvParams, state: PyTree, action: Array, next_state: PyTree
    ) -> Float[Array, " cumulant"]:
        """-> the parts of the reward (φ)."""

    @abc.abstractmethod
    def terminal(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        """-> whether the MDP ended here."""

    def draw(self, params: EnvParams, state: PyTree) -> Drawing | None:
        """-> what a state looks like; None where an env has no drawing. For people: never called while compiled."""
        return None

    # ------------------------------------------------------------------- for envs that are no pure functions

    @property
    def stateful(self) -> bool:
        """Whether a state stands for something outside of the program, which goes on just once and is left at last."""
        return False

    def reset_next(self, params: EnvParams, state: PyTree, ended: Bool[Array, ""], key: Key) -> PyTree:
        """-> the first state of the episode after the one that came to `state`; of no meaning unless that `ended`."""
        return self.initial(params, key)

    def truncated(self, params: EnvParams, state: PyTree) -> Bool[Array, ""]:
        """-> whether the env breaks the episode off here, its horizon apart: not an end of the MDP."""
        return jnp.zeros((), bool)

    def initial_where(self, params: EnvParams, wanted: Bool[Array, ""], key: Key) -> PyTree:
        """Returns the first state of an episode, of no meaning unless it is `wanted`: no live env begins one then."""
        return self.initial(params, key)

    def idle(self, state: PyTree) -> PyTree:
        """Returns a state like this, from which a step touches nothing outside of the program."""
        return state

    def close(self, state: PyTree) -> None:
        """Give back what a state stands for outside of the program; nothing may follow it."""
