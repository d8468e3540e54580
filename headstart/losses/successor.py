"""Successor features: discounted sums of φ under a policy, and generalised policy improvement over several of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Scalar = Float[Array, ""]


def successor_target(
    phi: Float[Array, " cumulant"], discount: Scalar, psi_next: Float[Array, " cumulant"]
) -> Float[Array, " cumulant"]:
    """φ + γ ψ(s', a') (arXiv:1606.05312, eq. 4). `discount` is γ, or 0 where the MDP ended."""
    return phi + jnp.where(discount > 0, discount * psi_next, 0.0)


def gpi_action(
    psi: Float[Array, "policy choice cumulant"], w: Float[Array, " cumulant"], known: Int[Array, ""] | int
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Returns argmax_a max_i ψ_i(s, a) · w, and the policy i of the maximum, among the first `known` ones (eq. 7)."""
    q = jnp.where(jnp.arange(psi.shape[0])[:, None] < known, psi @ w, -jnp.inf)
    return jnp.argmax(q.max(0)), jnp.argmax(q.max(1))


def reward_step(
    w: Float[Array, " cumulant"], phi: Float[Array, " cumulant"], r: Scalar, rate: float | Scalar
) -> Float[Array, " cumulant"]:
    """w after one step of the regression of r on φ · w (section 4.2): along φ, by the remaining error."""
    return w + rate * (r - phi @ w) * phi


def least_squares(
    gram: Float[Array, "cumulant cumulant"],
    reward_features: Float[Array, " cumulant"],
    previous: Float[Array, " cumulant"],
    ridge: float,
) -> Float[Array, " cumulant"]:
    """Returns the w that minimises Σ (r − φ · w)² plus a ridge penalty towards the previous w.

    `gram` is Σ φ φᵀ and `reward_features` Σ r φ. The solver is Gauss-Jordan elimination: positive definite systems need
    no pivots, and several of LAPACK's solvers at once may deadlock (docs/architecture.md).
    """
    n = reward_features.size
    rows = jnp.concatenate([gram + ridge * jnp.eye(n), (reward_features - gram @ previous)[:, None]], 1)
    for i in range(n):
        pivot = rows[i] / rows[i, i]
        rows = (rows - rows[:, i][:, None] * pivot[None]).at[i].set(pivot)
    return previous + rows[:, n]
