"""Policies: from features to a distribution over actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro import distributions as dist

from headstart.core.types import Box, Discrete, Key, Record, Space
from headstart.nets.mlp import MLP, mlp


class Gaussian(Record):
    """A Gaussian around the network's output, with a spread of its own for each component, whatever the state."""

    net: MLP
    log_std: Float[Array, "*seed action"]

    def __call__(self, x: Float[Array, " features"]) -> dist.Distribution:
        return dist.Normal(self.net(x), jnp.exp(self.log_std)).to_event(1)

    def cool(self, factor: float) -> "Gaussian":
        """-> the same policy with its standard deviation times `factor`."""
        return self.replace(log_std=self.log_std + jnp.log(factor))


class Categorical(Record):
    """A softmax over the network's outputs."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> dist.Distribution:
        return dist.CategoricalLogits(jax.nn.log_softmax(self.net(x)))

    def cool(self, factor: float) -> "Categorical":
        """-> the same policy with its temperature times `factor`."""
        return self.replace(net=self.net.replace(last=jax.tree.map(lambda x: x / factor, self.net.last)))


Policy = Gaussian | Categorical


def policy(inputs: int, hidden: tuple[int, ...], action: Space, activation: str, key: Key) -> Policy:
    """-> a fresh policy for an action space, almost the same for every state (last layer's gain 0.01)."""
    net = mlp((inputs, *hidden, action.size), 0.01, activation, key)
    if isinstance(action, Box):
        return Gaussian(net, jnp.zeros(action.size))
    assert isinstance(action, Discrete)
    return Categorical(net)


def mode(distribution: dist.Distribution) -> Array:
    """-> the most likely action."""
    if isinstance(distribution, dist.Independent):
        return jnp.asarray(distribution.mean)
    assert isinstance(distribution, dist.CategoricalLogits)
    return jnp.argmax(distribution.logits, -1)
