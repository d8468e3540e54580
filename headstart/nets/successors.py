"""Successor features by a network, and what is known of how φ is paid."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record, Statistics
from headstart.nets.mlp import MLP, mlp


class RewardStatistics(Statistics):
    """What was seen of each task's rewards; the target's are the last."""

    gram: Float[Array, "*seed task cumulant cumulant"]  # Σ φ φᵀ
    reward_features: Float[Array, "*seed task cumulant"]  # Σ r φ


class SuccessorNetworks(Record):
    """What each source's policy will come by, and what was seen of each task's rewards."""

    nets: MLP  # of each policy: successor features [cumulant · choice]
    rewards: RewardStatistics

    def psi(self, x: Float[Array, " features"]) -> Float[Array, "policy choice cumulant"]:
        """Returns of every policy and every choice."""
        of_each = jax.vmap(lambda net: net(x))(self.nets)
        return of_each.reshape(len(of_each), self.rewards.reward_features.shape[1], -1).swapaxes(1, 2)

    def update(
        self, phi: Float[Array, "n cumulant"], reward: Float[Array, " n"], whose: Float[Array, "n task"]
    ) -> Self:
        """Returns the same, with these steps' rewards; `whose` is the share that each task has in a step."""
        gram = self.rewards.gram + jnp.einsum("nt,ni,nj->tij", whose, phi, phi)
        return self.replace(
            rewards=RewardStatistics(gram, self.rewards.reward_features + (whose * reward[:, None]).T @ phi)
        )

    def forget_target(self) -> Self:
        """Returns the same, as if nothing had been seen of the target's rewards."""
        return self.replace(rewards=jax.tree.map(lambda x: x.at[-1].set(0.0), self.rewards))


def successor_networks(
    layers: tuple[int, ...], policies: int, choices: int, cumulants: int, activation: str, key: Key
) -> SuccessorNetworks:
    """Returns of so many policies, each by layers of its own (all widths but the last); of rewards nothing was seen."""
    sizes = (*layers, cumulants * choices)
    nets = jax.vmap(lambda key: mlp(sizes, 1.0, activation, key))(jax.random.split(key, policies))
    d, tasks = cumulants, policies + 1
    return SuccessorNetworks(nets, RewardStatistics(jnp.zeros((tasks, d, d)), jnp.zeros((tasks, d))))
