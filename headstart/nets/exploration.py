"""Exploration of discrete actions: ε-greedy."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Statistics


class EpsilonSchedule(Statistics):
    """ε as a function of the training's progress: it falls linearly."""

    epsilon: Float[Array, "*seed"]  # the current value
    initial: Float[Array, "*seed"]  # at the start of the training: 1, or the last value of the training before

    def decay(self, last: float, share: float, progress: Array | float) -> Self:
        """Returns the schedule after `progress` of the training; ε reaches `last` after a `share` of it."""
        fallen = jnp.minimum(progress / share, 1.0)
        return self.replace(epsilon=self.initial + fallen * (last - self.initial))

    def for_transfer(self) -> Self:
        """Returns the schedule for a later training, which starts from the current ε."""
        return self.replace(initial=self.epsilon)


def epsilon_schedule() -> EpsilonSchedule:
    """Returns the schedule of a new training: ε is 1."""
    return EpsilonSchedule(jnp.ones(()), jnp.ones(()))


def epsilon_greedy(best: Int[Array, ""], n: int, epsilon: Array | float, key: Key) -> Int[Array, ""]:
    """Returns the best action, or with probability ε a uniformly random one of `n`."""
    k_whether, k_which = jax.random.split(key)
    anything = jax.random.randint(k_which, (), 0, n, best.dtype)
    return jnp.where(jax.random.uniform(k_whether) < epsilon, anything, best)
