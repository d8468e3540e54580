"""Successor features by a network, and what is known of how φ is paid."""

from typing import Self

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Record
from headstart.nets.mlp import MLP


class Successors(Record):
    """What each source's policy will come by, and what was seen of each task's rewards; the target's are the last."""

    net: MLP  # successor features [policy · choice · cumulant]
    gram: Float[Array, "*seed task cumulant cumulant"]  # Σ φ φᵀ
    paid: Float[Array, "*seed task cumulant"]  # Σ r φ

    def psi(self, x: Float[Array, " features"]) -> Float[Array, "policy choice cumulant"]:
        """-> of every policy and every choice."""
        tasks, d = self.paid.shape
        return self.net(x).reshape(tasks - 1, -1, d)

    def include(
        self, phi: Float[Array, "n cumulant"], reward: Float[Array, " n"], whose: Float[Array, "n task"]
    ) -> Self:
        """-> the same, with these steps' rewards; `whose` is the share that each task has in a step."""
        gram = self.gram + jnp.einsum("nt,ni,nj->tij", whose, phi, phi)
        return self.replace(gram=gram, paid=self.paid + (whose * reward[:, None]).T @ phi)

    def forget_target(self) -> Self:
        """-> the same, as if nothing had been seen of the target's rewards."""
        return self.replace(gram=self.gram.at[-1].set(0.0), paid=self.paid.at[-1].set(0.0))
