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
    """x W + b: with a row for each input, XLA transposes nothing but for gradients."""

    weight: Float[Array, "*seed input output"]
    bias: Float[Array, "*seed output"]

    def __call__(self, x: Float[Array, " input"]) -> Float[Array, " output"]:
        return x @ self.weight + self.bias


@functools.partial(jax.jit, static_argnums=(0, 1, 2), inline=True)  # traced once for each shape
def orthogonal(inputs: int, outputs: int, gain: float, key: Key) -> Linear:
    """Returns a layer with orthogonal weights of that gain, and zero biases (arXiv:1312.6120).

    By Gram and Schmidt, not by `jnp.linalg.qr`: of that, several at once for several seeds wait for ever on a CPU with
    two cores (jaxlib 0.10.2; each holds a thread of the pool in which it waits for its parts). By rows, which lie
    together in memory: for the layer after Atari's convolutions that is ten times as fast as by columns.
    """
    rows = jax.random.normal(key, (max(inputs, outputs), min(inputs, outputs))).T

    def straighten(i: Array, q: Float[Array, "short long"]) -> Float[Array, "short long"]:
        row = rows[i]
        for _ in range(2):  # once leaves float32 with rows that lean
            row = row - (q @ row) @ q
        return q.at[i].set(row / jnp.linalg.norm(row))

    q = jax.lax.fori_loop(0, rows.shape[0], straighten, jnp.zeros_like(rows))
    return Linear(gain * (q.T if outputs < inputs else q), jnp.zeros(outputs))


class MLP(Record):
    """Layers with an activation between them; none after the last, which has a name of its own: it is the head."""

    layers: tuple[Linear, ...]
    last: Linear
    activation: str = eqx.field(static=True, default="tanh")

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        return self.last(self.hidden(x))

    def hidden(self, x: Float[Array, " inputs"]) -> Float[Array, " hidden"]:
        """Returns what the last layer is told."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x


def mlp(sizes: tuple[int, ...], gain: float, activation: str, key: Key) -> MLP:
    """Returns an MLP through layers of those sizes: gain √2 inside, `gain` at the last layer."""
    keys = jax.random.split(key, len(sizes) - 1)
    inner = (orthogonal(n, m, 2.0**0.5, k) for n, m, k in zip(sizes[:-2], sizes[1:-1], keys[:-1], strict=True))
    return MLP(tuple(inner), orthogonal(sizes[-2], sizes[-1], gain, keys[-1]), activation)


def check_network(owner: str, hidden: tuple[int, ...], activation: str) -> None:
    """Raises InputError where `owner` asks for an empty hidden layer, or for an activation that there is not."""
    if any(width < 1 for width in hidden):
        raise InputError(f"{owner}(hidden={hidden!r}) is out of range: each hidden layer has at least 1 unit.")
    if activation not in ACTIVATIONS:
        raise InputError(f"{owner}(activation={activation!r}) is unknown: it is one of {', '.join(ACTIVATIONS)}.")
