"""The last steps of an episode, as one vector: what was seen and done at each, the newest first, and whether it was."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import ActionSpace


class History(NamedTuple):
    """How many steps are kept, and of what size."""

    length: int
    observation: int
    action: ActionSpace

    @property
    def size(self) -> int:
        return self.length * (1 + self.observation + self.action.size)

    def empty(self) -> Float[Array, " {self.size}"]:
        """Returns before the first step."""
        return jnp.zeros(self.size)

    def push(
        self, past: Float[Array, " {self.size}"], obs: Float[Array, " {self.observation}"], action: Array
    ) -> Float[Array, " {self.size}"]:
        """Returns the steps until now and this one; the oldest is forgotten."""
        newest = jnp.concatenate([jnp.ones(1), obs, self.action.to_features(action)])
        return jnp.concatenate([newest, past])[: self.size]

    def encode(
        self, past: Float[Array, " {self.size}"], eyes: Callable[[Array], Array]
    ) -> Float[Array, " {self.size}"]:
        """Returns what a network is told of it: observations as `eyes` see them; 0 for steps that were not."""

        def one(step: Array) -> Array:
            there, obs, action = jnp.split(step, [1, 1 + self.observation])
            return there[0] * jnp.concatenate([there, eyes(obs), action])

        return jax.vmap(one)(past.reshape(self.length, -1)).reshape(-1)
