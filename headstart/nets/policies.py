"""Policies: from features to a distribution over actions."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro import distributions as dist

from headstart.core.types import ActionSpace, Box, Discrete, Key, Record
from headstart.nets.mlp import MLP, mlp


class Gaussian(Record):
    """A Gaussian around the network's output, with a learned standard deviation that does not depend on the state."""

    net: MLP
    log_std: Float[Array, "*seed action"]

    def __call__(self, x: Float[Array, " features"]) -> dist.Distribution:
        return dist.Normal(self.net(x), jnp.exp(self.log_std)).to_event(1)

    def scale_std(self, factor: float) -> "Gaussian":
        """Returns the same policy with its standard deviation times `factor`."""
        return self.replace(log_std=self.log_std + jnp.log(factor))


class Categorical(Record):
    """A softmax over the network's outputs."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> dist.Distribution:
        return dist.CategoricalLogits(jax.nn.log_softmax(self.net(x)))

    def scale_std(self, factor: float) -> "Categorical":
        """Returns the same policy with its temperature times `factor`."""
        return self.replace(net=self.net.replace(last=jax.tree.map(lambda x: x / factor, self.net.last)))


class SquashedGaussian(Record):
    """A Gaussian with state-dependent deviation, squashed to (-1, 1) by tanh (arXiv:1812.05905, appendix C)."""

    net: MLP  # means, then logarithms of standard deviations

    def mean_and_std(self, x: Float[Array, " features"]) -> tuple[Float[Array, " action"], Float[Array, " action"]]:
        """Returns mean and standard deviation before squashing."""
        mean, log_std = jnp.split(self.net(x), 2)
        return mean, jnp.exp(jnp.clip(log_std, *LOG_STD))

    def mode(self, x: Float[Array, " features"]) -> Float[Array, " action"]:
        """Returns the deterministic action."""
        return jnp.tanh(self.mean_and_std(x)[0])

    def sample(self, x: Float[Array, " features"], key: Key) -> tuple[Float[Array, " action"], Float[Array, ""]]:
        """Returns a reparametrised action and its log-density."""
        mean, std = self.mean_and_std(x)
        raw = mean + std * jax.random.normal(key, mean.shape)
        squashing = 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))  # log(1 − tanh²), without overflow
        return jnp.tanh(raw), (dist.Normal(mean, std).log_prob(raw) - squashing).sum()

    def scale_std(self, factor: float) -> "SquashedGaussian":
        """Returns the same policy with its standard deviation times `factor`."""
        both = self.net.last.bias
        bias = both.at[..., both.shape[-1] // 2 :].add(jnp.log(factor))
        return self.replace(net=eqx.tree_at(lambda net: net.last.bias, self.net, bias))


class MaskedPolicy(Record):
    """A policy that ignores the last of its features, which are for critics only."""

    inner: Gaussian | Categorical | SquashedGaussian
    unseen: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " features"]) -> dist.Distribution:
        assert not isinstance(self.inner, SquashedGaussian)
        return self.inner(self._visible(x))

    def mode(self, x: Float[Array, " features"]) -> Float[Array, " action"]:
        """Returns the deterministic action."""
        assert isinstance(self.inner, SquashedGaussian)
        return self.inner.mode(self._visible(x))

    def sample(self, x: Float[Array, " features"], key: Key) -> tuple[Float[Array, " action"], Float[Array, ""]]:
        """Returns a reparametrised action and its log-density."""
        assert isinstance(self.inner, SquashedGaussian)
        return self.inner.sample(self._visible(x), key)

    def scale_std(self, factor: float) -> "MaskedPolicy":
        """Returns the same policy with its standard deviation, or temperature, times `factor`."""
        return self.replace(inner=self.inner.scale_std(factor))

    def _visible(self, x: Float[Array, " features"]) -> Float[Array, " visible"]:
        return x[: x.size - self.unseen]


Policy = Gaussian | Categorical
LOG_STD = (-20.0, 2.0)  # bounds of log σ of a squashed Gaussian


def policy(inputs: int, hidden: tuple[int, ...], action: ActionSpace, activation: str, key: Key) -> Policy:
    """Returns a new policy for an action space, almost the same in every state (the last layer's gain is 0.01)."""
    net = mlp((inputs, *hidden, action.size), 0.01, activation, key)
    if isinstance(action, Box):
        return Gaussian(net, jnp.zeros(action.size))
    assert isinstance(action, Discrete)
    return Categorical(net)


def squashed_gaussian(inputs: int, hidden: tuple[int, ...], action: Box, activation: str, key: Key) -> SquashedGaussian:
    """Returns a new squashed Gaussian, almost the same in every state, with a large standard deviation."""
    return SquashedGaussian(mlp((inputs, *hidden, 2 * action.size), 0.01, activation, key))


def mode(distribution: dist.Distribution) -> Array:
    """Returns the most likely action."""
    if isinstance(distribution, dist.Independent):
        return jnp.asarray(distribution.mean)
    assert isinstance(distribution, dist.CategoricalLogits)
    return jnp.argmax(distribution.logits, -1)
