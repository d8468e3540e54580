"""Networks of successor features, and the statistics from which reward weights are estimated."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record, Statistics
from headstart.nets.mlp import MLP, mlp


class SuccessorNetworks(Record):
    """The successor features of each source's policy, each by a network of its own."""

    nets: MLP  # with a leading policy axis; outputs [cumulant · action]

    def __call__(self, x: Float[Array, " features"], cumulants: int) -> Float[Array, "policy action cumulant"]:
        """Returns ψ of every policy and every action."""
        each = jax.vmap(lambda net: net(x))(self.nets)
        return each.reshape(len(each), cumulants, -1).swapaxes(1, 2)


class RewardStatistics(Statistics):
    """Sums over the rewards of each task; the target is the last task."""

    gram: Float[Array, "*seed task cumulant cumulant"]  # Σ φ φᵀ
    reward_features: Float[Array, "*seed task cumulant"]  # Σ r φ

    def update(
        self, phi: Float[Array, "n cumulant"], reward: Float[Array, " n"], weight: Float[Array, "n task"]
    ) -> Self:
        """Returns the sums with these steps added; `weight` is a step's weight in each task."""
        gram = self.gram + jnp.einsum("nt,ni,nj->tij", weight, phi, phi)
        reward_features = self.reward_features + (weight * reward[:, None]).T @ phi
        return self.replace(gram=gram, reward_features=reward_features)

    def forget_target(self) -> Self:
        """Returns the sums without the target's rewards."""
        return jax.tree.map(lambda x: x.at[-1].set(0.0), self)


def successor_networks(
    layers: tuple[int, ...], policies: int, actions: int, cumulants: int, activation: str, key: Key
) -> SuccessorNetworks:
    """Returns newly initialized networks; `layers` are all widths but the last."""
    sizes = (*layers, cumulants * actions)
    return SuccessorNetworks(jax.vmap(lambda key: mlp(sizes, 1.0, activation, key))(jax.random.split(key, policies)))


def reward_statistics(tasks: int, cumulants: int) -> RewardStatistics:
    """Returns the sums over no steps."""
    return RewardStatistics(jnp.zeros((tasks, cumulants, cumulants)), jnp.zeros((tasks, cumulants)))
