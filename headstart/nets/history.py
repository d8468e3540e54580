"""The last steps of an episode as one vector: observation and action of each, and whether it exists, newest first."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import ActionSpace


class History(NamedTuple):
    """How many steps a history holds, and the size of each."""

    length: int
    observation: int
    action: ActionSpace

    @property
    def size(self) -> int:
        return self.length * (1 + self.observation + self.action.size)

    def empty(self) -> Float[Array, " {self.size}"]:
        """Returns the history before the first step."""
        return jnp.zeros(self.size)

    def push(
        self, past: Float[Array, " {self.size}"], obs: Float[Array, " {self.observation}"], action: Array
    ) -> Float[Array, " {self.size}"]:
        """Returns the history with this step added and the oldest one dropped."""
        newest = jnp.concatenate([jnp.ones(1), obs, self.action.to_features(action)])
        return jnp.concatenate([newest, past])[: self.size]

    def encode(
        self, past: Float[Array, " {self.size}"], encode: Callable[[Array], Array]
    ) -> Float[Array, " {self.size}"]:
        """Returns the history as input of a network: observations through `encode`, 0 for steps that do not exist."""

        def one(step: Array) -> Array:
            exists, obs, action = jnp.split(step, [1, 1 + self.observation])
            return exists[0] * jnp.concatenate([exists, encode(obs), action])

        return jax.vmap(one)(past.reshape(self.length, -1)).reshape(-1)
