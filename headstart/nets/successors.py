"""Successor features by a network, and statistics for estimating w from rewards."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record, Statistics
from headstart.nets.mlp import MLP, mlp


class RewardStatistics(Statistics):
    """Sums over each task's steps, from which w is estimated; the target task is the last."""

    gram: Float[Array, "*seed task cumulant cumulant"]  # Σ φ φᵀ
    reward_features: Float[Array, "*seed task cumulant"]  # Σ r φ


class SuccessorNetworks(Record):
    """Successor features of each source task's policy, and reward statistics of each task."""

    nets: MLP  # one per policy: successor features [cumulant · action]
    rewards: RewardStatistics

    def psi(self, x: Float[Array, " features"]) -> Float[Array, "policy choice cumulant"]:
        """Returns the successor features of every policy and every action."""
        of_each = jax.vmap(lambda net: net(x))(self.nets)
        return of_each.reshape(len(of_each), self.rewards.reward_features.shape[1], -1).swapaxes(1, 2)

    def update(
        self, phi: Float[Array, "n cumulant"], reward: Float[Array, " n"], whose: Float[Array, "n task"]
    ) -> Self:
        """Returns the record with these steps' rewards added; `whose` is the share of each task in a step."""
        gram = self.rewards.gram + jnp.einsum("nt,ni,nj->tij", whose, phi, phi)
        return self.replace(
            rewards=RewardStatistics(gram, self.rewards.reward_features + (whose * reward[:, None]).T @ phi)
        )

    def forget_target(self) -> Self:
        """Returns the record without the target task's rewards."""
        return self.replace(rewards=jax.tree.map(lambda x: x.at[-1].set(0.0), self.rewards))


def successor_networks(
    layers: tuple[int, ...], policies: int, choices: int, cumulants: int, activation: str, key: Key
) -> SuccessorNetworks:
    """Returns networks for this many policies, each with layers of its own, and empty reward statistics."""
    sizes = (*layers, cumulants * choices)
    nets = jax.vmap(lambda key: mlp(sizes, 1.0, activation, key))(jax.random.split(key, policies))
    d, tasks = cumulants, policies + 1
    return SuccessorNetworks(nets, RewardStatistics(jnp.zeros((tasks, d, d)), jnp.zeros((tasks, d))))
