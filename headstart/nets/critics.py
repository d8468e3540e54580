"""Critics: from features and actions to values."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class Twin(Record):
    """Several critics of the same shape; the least of them is believed (arXiv:1802.09477)."""

    nets: MLP  # [critic]

    def __call__(self, x: Float[Array, " features"], action: Float[Array, " action"]) -> Float[Array, " critic"]:
        return eqx.filter_vmap(lambda net, z: net(z)[0], in_axes=(eqx.if_array(0), None))(
            self.nets, jnp.concatenate([x, action])
        )


def twin(inputs: int, action: int, hidden: tuple[int, ...], activation: str, key: Key, critics: int = 2) -> Twin:
    """-> fresh critics of features and a continuous action."""
    make = lambda key: mlp((inputs + action, *hidden, 1), 1.0, activation, key)
    return Twin(jax.vmap(make)(jax.random.split(key, critics)))
