"""Targets and losses of maximum-entropy learners, for one transition each."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def soft_target(r: Scalar, discount: Scalar, q_next: Scalar, log_prob_next: Scalar, alpha: Scalar) -> Scalar:
    """r + γ (Q(s', a') − α log π(a'|s')), with a' ~ π (arXiv:1812.05905, eqs. 2 and 3).

    `discount` is γ, or 0 where the MDP ended. In that case the values of s' are ignored, even NaN.
    """
    return r + jnp.where(discount > 0, discount * (q_next - alpha * log_prob_next), 0.0)


def soft_policy_loss(q: Scalar, log_prob: Scalar, alpha: Scalar) -> Scalar:
    """α log π(a|s) − Q(s, a), with a reparametrised action (eq. 9)."""
    return alpha * log_prob - q


def temperature_loss(log_alpha: Scalar, log_prob: Scalar, target_entropy: float) -> Scalar:
    """−log α (log π(a|s) + H̄): the temperature rises if the policy's entropy is below H̄ (eq. 18).

    It is in log α, as in the authors' code, so that α stays above 0. No gradient reaches the policy.
    """
    return -log_alpha * jax.lax.stop_gradient(log_prob + target_entropy)
