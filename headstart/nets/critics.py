"""Critics: from features and actions to values."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class Twin(Record):
    """Several critics of the same shape, of which the smallest value is used (arXiv:1802.09477)."""

    nets: tuple[MLP, ...]

    def __call__(self, x: Float[Array, " features"], action: Float[Array, " action"]) -> Float[Array, " critic"]:
        inputs = jnp.concatenate([x, action])
        return jnp.stack([net(inputs)[0] for net in self.nets])


def twin(features: int, action: int, hidden: tuple[int, ...], activation: str, key: Key, critics: int = 2) -> Twin:
    """Returns new critics of features and a continuous action."""
    sizes = (features + action, *hidden, 1)
    return Twin(tuple(mlp(sizes, 1.0, activation, one) for one in jax.random.split(key, critics)))
