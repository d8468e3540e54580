"""Targets of learners of Q(s, a) for choices."""

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
    """Returns Σ_{k<m} γ^k r_{t+k}, the discount of what follows (γ^m, or 0 where the MDP ended), and s_{t+m}.

    m is n, or less where the episode or the stream ends before (Sutton and Barto 2018, section 7.1, bootstrapped at
    whatever comes last). `discount` is γ, or 0 where the MDP ended.
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
    """r + γ Q_slow(s', argmax_a Q(s', a)) (arXiv:1509.06461, eq. 4).

    `discount` is γ, or 0 where the MDP ended: what lies beyond an end may be anything, even NaN.
    """
    return r + jnp.where(discount > 0, discount * q_next_slow[jnp.argmax(q_next)], 0.0)


def huber(error: Scalar, delta: float | None) -> Scalar:
    """½ e² within ±δ, δ(|e| − ½ δ) outside: its gradient is the error, cut to ±δ (Mnih et al. 2015, methods: δ = 1).

    Where δ is None, ½ e² everywhere.
    """
    square = 0.5 * jnp.square(error)
    if delta is None:
        return square
    size = jnp.abs(error)
    return jnp.where(size <= delta, square, delta * (size - 0.5 * delta))
