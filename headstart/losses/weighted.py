"""Statistics of a batch in which each sample has a weight."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Metrics


def weighted_mean(each: Metrics, weight: Float[Array, "task batch"]) -> Metrics:
    """Returns the weighted mean of each metric [task, batch] over the batch; 0 if the total weight is 0."""
    total = jnp.maximum(weight.sum(), 1e-8)
    return {name: (x * weight).sum() / total for name, x in each.items()}


def standardize(
    x: Float[Array, "task time copy"], weight: Float[Array, "task time copy"], axis: tuple[int, ...] = (0, 1, 2)
) -> Float[Array, "task time copy"]:
    """Returns `x` minus its mean, divided by its standard deviation, both weighted and over these axes."""
    n = jnp.maximum(weight.sum(axis, keepdims=True), 1.0)
    centred = x - (x * weight).sum(axis, keepdims=True) / n
    spread = jnp.sqrt((jnp.square(centred) * weight).sum(axis, keepdims=True) / n)
    return centred / (spread + 1e-8)
