"""Experience: steps and transitions."""

import dataclasses
from typing import Any, Self

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from headstart.core.spaces import Observations


class Record(eqx.Module):
    """An immutable pytree with named fields."""

    def replace(self, **fields: Any) -> Self:
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **fields)


class Step(Record):
    """One step of experience, or many, as a replay buffer stores it."""

    obs: Observations
    action: Array  # as the policy gave it, before `Space.rescale`
    reward: Float[Array, "*n"]
    discount: Float[Array, "*n"]  # 0 where the MDP ended, else 1
    last: Bool[Array, "*n"]  # the episode ended here, terminated or truncated
    cumulants: Float[Array, "*n cumulant"]
    context: Float[Array, "*n context"]
    domain: Int[Array, "*n"]
    weight: Float[Array, "*n"]  # in losses and statistics; transitions of weight 0 are ignored
    episode_return: Float[Array, "*n"]  # undiscounted return of the episode so far, this step included
    extras: dict[str, Array]

    def with_next(self, next_obs: Observations, next_context: Float[Array, "*n context"]) -> "Transition":
        """Returns the transition to this observation and context."""
        extras = {**self.extras, "next_context": next_context}
        return Transition(**{**_step_fields(self), "extras": extras}, next_obs=next_obs)


class Transition(Step):
    """One step with the observation after it, or many: [task, time, env] in a rollout, [task, batch] in a batch."""

    next_obs: Observations  # after the last step of an episode, the final observation

    @property
    def next_context(self) -> Float[Array, "*n context"]:
        """The context at the next step: the same one, unless it changes within an episode."""
        return self.extras.get("next_context", self.context)

    def without_next(self) -> Step:
        """Returns the step without the observation and the context after it."""
        extras = {name: x for name, x in self.extras.items() if name != "next_context"}
        return Step(**{**_step_fields(self), "extras": extras})


def _step_fields(step: Step) -> dict[str, Any]:
    return {field.name: getattr(step, field.name) for field in dataclasses.fields(Step)}
