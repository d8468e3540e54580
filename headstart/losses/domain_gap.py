"""How likely the target's dynamics are to have made a step, beside the source's: what DARC adds to the reward."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Scalar = Float[Array, ""]


def reward_correction(of_step: Float[Array, "*n"], of_choice: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Δr = log p(s'|s, a) in the target − log p(s'|s, a) in the source (arXiv:2006.13916, eq. 4).

    By Bayes' rule it is what two classifiers say: `of_step` is log p(target|s, a, s') − log p(source|s, a, s'), and
    `of_choice` the same of (s, a) alone, which takes out that the two domains are not equally often in s doing a.
    """
    return of_step - of_choice


def domain_loss(logit: Scalar, domain: Int[Array, ""]) -> Scalar:
    """Cross entropy of a domain (0 source, 1 target) and the classifier's log p(target) − log p(source)."""
    return jax.nn.softplus(jnp.where(domain == 1, -logit, logit))
