"""Targets and losses of learners of Q(s, a) for discrete actions."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

Scalar = Float[Array, ""]


def n_step(
    r: Float[Array, " time"],
    discount: Float[Array, " time"],
    last: Bool[Array, " time"],
    next_obs: Shaped[Array, "time *observation"],
    n: int,
) -> tuple[Float[Array, " time"], Float[Array, " time"], Shaped[Array, "time *observation"]]:
    """Returns Σ_{k<m} γ^k r_{t+k}, the discount of the bootstrap value (γ^m, or 0 where the MDP ended), and s_{t+m}.

    m is n, or less if the episode or the stream ends earlier (Sutton and Barto 2018, section 7.1; it bootstraps from
    the last observation). `discount` is γ, or 0 where the MDP ended.
    """
    time = jnp.arange(r.size)
    total, follows, then, going = r, discount, next_obs, ~last
    for k in range(1, n):
        at = jnp.minimum(time + k, r.size - 1)
        going = going & (time + k < r.size)
        total = total + jnp.where(going, follows * r[at], 0.0)
        follows = jnp.where(going, follows * discount[at], follows)
        then = jnp.where(going.reshape(-1, *[1] * (then.ndim - 1)), next_obs[at], then)
        going = going & ~last[at]
    return total, follows, then


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
