"""Fully connected networks."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError
from headstart.core.types import Key, Record

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "swish": jax.nn.swish, "elu": jax.nn.elu}


class Linear(Record):
    """x W + b. With one row per input, XLA transposes the weights for gradients only."""

    weight: Float[Array, "*seed input output"]
    bias: Float[Array, "*seed output"]

    def __call__(self, x: Float[Array, " input"]) -> Float[Array, " output"]:
        return x @ self.weight + self.bias


@functools.partial(jax.jit, static_argnums=(0, 1, 2), inline=True)  # traced once for each shape
def orthogonal(inputs: int, outputs: int, gain: float, key: Key) -> Linear:
    """Returns a layer with orthogonal weights of this gain and zero biases (arXiv:1312.6120).

    It uses the Gram-Schmidt process, because `jnp.linalg.qr` of several seeds at once deadlocks on a CPU with two cores
    (jaxlib 0.10.2). It works on rows, which are contiguous in memory: for the layer after Atari's convolutions
    that is ten times as fast as on columns.
    """
    rows = jax.random.normal(key, (max(inputs, outputs), min(inputs, outputs))).T

    def orthogonalize(i: Array, q: Float[Array, "short long"]) -> Float[Array, "short long"]:
        row = rows[i]
        for _ in range(2):  # one pass in float32 leaves rows that are not orthogonal
            row = row - (q @ row) @ q
        return q.at[i].set(row / jnp.linalg.norm(row))

    q = jax.lax.fori_loop(0, rows.shape[0], orthogonalize, jnp.zeros_like(rows))
    return Linear(gain * (q.T if outputs < inputs else q), jnp.zeros(outputs))


class MLP(Record):
    """Layers with an activation between them. The last one, the head, has no activation and a name of its own."""

    layers: tuple[Linear, ...]
    last: Linear
    activation: str = eqx.field(static=True, default="tanh")

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        return self.last(self.hidden(x))

    def hidden(self, x: Float[Array, " inputs"]) -> Float[Array, " hidden"]:
        """Returns the input of the last layer."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x


def mlp(sizes: tuple[int, ...], gain: float, activation: str, key: Key) -> MLP:
    """Returns an MLP through layers of these sizes, with gain √2 inside and `gain` at the last layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    inner = (orthogonal(n, m, 2.0**0.5, k) for n, m, k in zip(sizes[:-2], sizes[1:-1], keys[:-1], strict=True))
    return MLP(tuple(inner), orthogonal(sizes[-2], sizes[-1], gain, keys[-1]), activation)


def check_network(owner: str, hidden: tuple[int, ...], activation: str) -> None:
    """Raises InputError if `owner` asks for an empty hidden layer or an unknown activation."""
    if any(width < 1 for width in hidden):
        raise InputError(f"{owner}(hidden={hidden!r}) is out of range: each hidden layer has at least 1 unit.")
    if activation not in ACTIVATIONS:
        raise InputError(f"{owner}(activation={activation!r}) is unknown: it is one of {', '.join(ACTIVATIONS)}.")
