"""Fully connected networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox.nn import Linear
from jaxtyping import Array, Float

from headstart.core.types import Key, Record

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "swish": jax.nn.swish, "elu": jax.nn.elu}


def orthogonal(inputs: int, outputs: int, gain: float, key: Key) -> Linear:
    """-> a layer with orthogonal weights of that gain, and zero biases (arXiv:1312.6120)."""
    weight = jax.nn.initializers.orthogonal(gain)(key, (outputs, inputs))
    layer = Linear(inputs, outputs, key=key)
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (weight, jnp.zeros(outputs)))


class MLP(Record):
    """Layers with an activation between them; none after the last, which has a name of its own: it is the head."""

    layers: tuple[Linear, ...]
    last: Linear
    activation: str = eqx.field(static=True, default="tanh")

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.last(x)


def mlp(sizes: tuple[int, ...], gain: float, activation: str, key: Key) -> MLP:
    """-> an MLP through layers of those sizes: gain √2 inside, `gain` at the last layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    inner = (orthogonal(n, m, 2.0**0.5, k) for n, m, k in zip(sizes[:-2], sizes[1:-1], keys[:-1], strict=True))
    return MLP(tuple(inner), orthogonal(sizes[-2], sizes[-1], gain, keys[-1]), activation)
