"""Targets and losses of learners of Q(s, a) for discrete actions."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Scalar = Float[Array, ""]


def n_step(
    r: Float[Array, " step"], discount: Float[Array, " step"], steps: Int[Array, ""]
) -> tuple[Scalar, Scalar, Int[Array, ""]]:
    """Returns Σ_{k<m} γ^k r_{t+k}, the discount of the bootstrap value (γ^m, or 0 where the MDP ended), and m − 1.

    m is n, the length of `r`, or `steps` if these are fewer: those until the episode ends (Sutton and Barto 2018,
    section 7.1). It bootstraps from the observation after step m − 1. `discount` is γ, or 0 where the MDP ended.
    """
    counts = jnp.arange(r.size) < steps
    factor = jnp.concatenate([jnp.ones(1), jnp.cumprod(discount)])
    m = counts.sum()
    return jnp.where(counts, factor[:-1] * r, 0.0).sum(), factor[m], m - 1


def double_q_target(
    r: Scalar, discount: Scalar, q_next: Float[Array, " choice"], q_next_slow: Float[Array, " choice"]
) -> Scalar:
    """r + γ Q_target(s', argmax_a Q(s', a)) (arXiv:1509.06461, eq. 4).

    `discount` is γ, or 0 where the MDP ended. In that case the values of s' are ignored, even NaN.
    """
    return r + jnp.where(discount > 0, discount * q_next_slow[jnp.argmax(q_next)], 0.0)


def huber(error: Scalar, delta: float | None) -> Scalar:
    """½ e² within ±δ, δ(|e| − ½ δ) outside: its gradient is the error clipped to ±δ (Mnih et al. 2015, methods: δ = 1).

    If δ is None, ½ e² everywhere.
    """
    square = 0.5 * jnp.square(error)
    if delta is None:
        return square
    size = jnp.abs(error)
    return jnp.where(size <= delta, square, delta * (size - 0.5 * delta))
