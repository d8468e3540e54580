"""DARC's reward correction: how much likelier a step is under the target's dynamics than under the source's."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Scalar = Float[Array, ""]


def reward_correction(of_step: Float[Array, "*n"], of_choice: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Δr = log p(s'|s, a) in the target − log p(s'|s, a) in the source (arXiv:2006.13916, eq. 4).

    By Bayes' rule it follows from two classifiers: `of_step` is log p(target|s, a, s') − log p(source|s, a, s'), and
    `of_choice` the same for (s, a) alone, which removes the difference in how often the domains visit (s, a).
    """
    return of_step - of_choice


def domain_loss(logit: Scalar, domain: Int[Array, ""]) -> Scalar:
    """Cross-entropy of a domain (0 source, 1 target) under the classifier's log p(target) − log p(source)."""
    return jax.nn.softplus(jnp.where(domain == 1, -logit, logit))
