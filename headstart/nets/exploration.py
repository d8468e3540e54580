"""Choices that are made at random now and then."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.types import Key, Statistics


class EpsilonSchedule(Statistics):
    """How often that is: ever less in the course of a training."""

    epsilon: Float[Array, "*seed"]  # now
    initial: Float[Array, "*seed"]  # at the beginning of the training: 1, or the last of what it was taught before

    def decay(self, last: float, share: float, progress: Array | float) -> Self:
        """Returns after `progress` of the training; it falls to `last` in a `share` of it."""
        fallen = jnp.minimum(progress / share, 1.0)
        return self.replace(epsilon=self.initial + fallen * (last - self.initial))

    def for_transfer(self) -> Self:
        """Returns for a training after this one: it need not act at random once more."""
        return self.replace(initial=self.epsilon)


def epsilon_schedule() -> EpsilonSchedule:
    """Returns at first: always."""
    return EpsilonSchedule(jnp.ones(()), jnp.ones(()))


def epsilon_greedy(best: Int[Array, ""], n: int, epsilon: Array | float, key: Key) -> Int[Array, ""]:
    """Returns the best choice, or with the chance ε any of the `n`."""
    k_whether, k_which = jax.random.split(key)
    anything = jax.random.randint(k_which, (), 0, n, best.dtype)
    return jnp.where(jax.random.uniform(k_whether) < epsilon, anything, best)
