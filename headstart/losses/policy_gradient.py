"""Estimators and losses of policy-gradient learners."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Scalar = Float[Array, ""]


def gae(
    r: Float[Array, " time"],
    discount: Float[Array, " time"],
    last: Bool[Array, " time"],
    v: Float[Array, " time"],
    v_next: Float[Array, " time"],
    lam: float | Scalar,
) -> Float[Array, " time"]:
    """Generalized advantage estimation (arXiv:1506.02438, eq. 16): Â_t = Σ_l (γλ)^l δ_{t+l}.

    `discount` is γ, or 0 where the MDP ended; `v_next` is the value of the step's own next observation. So a truncated
    episode (`last` with discount γ) bootstraps, and no sum crosses the end of an episode.
    """
    # `where` instead of a product, because values after the end may be NaN
    delta = r + jnp.where(discount > 0, discount * v_next, 0.0) - v

    def back(later: Scalar, x: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        delta, keep = x
        advantage = delta + jnp.where(keep > 0, keep * later, 0.0)
        return advantage, advantage

    keep = lam * discount * (1.0 - last)
    return jax.lax.scan(back, jnp.zeros(()), (delta, keep), reverse=True)[1]


def clipped_surrogate(log_ratio: Scalar, advantage: Scalar, epsilon: float | Scalar) -> Scalar:
    """PPO's −L^CLIP of one action (arXiv:1707.06347, eq. 7): −min(ρA, clip(ρ, 1 − ε, 1 + ε) A)."""
    ratio = jnp.exp(log_ratio)
    return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - epsilon, 1.0 + epsilon) * advantage)


def approximate_kl(log_ratio: Scalar) -> Scalar:
    """An unbiased, non-negative estimate of KL(old ‖ new) from one action of the old policy: ρ − 1 − log ρ."""
    return jnp.expm1(log_ratio) - log_ratio
