"""What a batch comes to: the mean of what its samples do, each by its weight."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Metrics


def average(each: Metrics, weight: Float[Array, "task batch"]) -> Metrics:
    """-> the mean of each metric [task, batch] over the batch; 0 where nothing has weight."""
    total = jnp.maximum(weight.sum(), 1e-8)
    return {name: (x * weight).sum() / total for name, x in each.items()}
