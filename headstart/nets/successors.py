"""Successor features by a network, and what is known of how φ is paid."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Record, Statistics
from headstart.nets.mlp import MLP, mlp


class Rewards(Statistics):
    """What was seen of each task's rewards; the target's are the last."""

    gram: Float[Array, "*seed task cumulant cumulant"]  # Σ φ φᵀ
    paid: Float[Array, "*seed task cumulant"]  # Σ r φ


class Successors(Record):
    """What each source's policy will come by, and what was seen of each task's rewards."""

    nets: MLP  # of each policy: successor features [cumulant · choice]
    rewards: Rewards

    def psi(self, x: Float[Array, " features"]) -> Float[Array, "policy choice cumulant"]:
        """-> of every policy and every choice."""
        of_each = jax.vmap(lambda net: net(x))(self.nets)
        return of_each.reshape(len(of_each), self.rewards.paid.shape[1], -1).swapaxes(1, 2)

    def include(
        self, phi: Float[Array, "n cumulant"], reward: Float[Array, " n"], whose: Float[Array, "n task"]
    ) -> Self:
        """-> the same, with these steps' rewards; `whose` is the share that each task has in a step."""
        gram = self.rewards.gram + jnp.einsum("nt,ni,nj->tij", whose, phi, phi)
        return self.replace(rewards=Rewards(gram, self.rewards.paid + (whose * reward[:, None]).T @ phi))

    def forget_target(self) -> Self:
        """-> the same, as if nothing had been seen of the target's rewards."""
        return self.replace(rewards=jax.tree.map(lambda x: x.at[-1].set(0.0), self.rewards))


def successors(
    layers: tuple[int, ...], policies: int, choices: int, cumulants: int, activation: str, key: Key
) -> Successors:
    """-> of so many policies, each by layers of its own (all widths but the last); of rewards nothing was seen."""
    sizes = (*layers, cumulants * choices)
    nets = jax.vmap(lambda key: mlp(sizes, 1.0, activation, key))(jax.random.split(key, policies))
    d, tasks = cumulants, policies + 1
    return Successors(nets, Rewards(jnp.zeros((tasks, d, d)), jnp.zeros((tasks, d))))
