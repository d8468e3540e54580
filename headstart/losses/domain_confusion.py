"""Losses that make features of two domains alike: a reversed gradient, and the maximum mean discrepancy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def reverse_gradient(x: Float[Array, "*n"], strength: float | Scalar) -> Float[Array, "*n"]:
    """Returns x, and multiplies its gradient by −λ (arXiv:1505.07818, eqs. 14 and 15)."""
    return jax.lax.stop_gradient((1.0 + strength) * x) - strength * x


def reversal_strength(progress: float | Scalar, pace: float) -> Scalar:
    """λ_p = 2 / (1 + exp(−γ p)) − 1: from 0 to nearly 1 over the training (arXiv:1505.07818, section 5.2.2)."""
    return 2.0 * jax.nn.sigmoid(jnp.asarray(pace * progress)) - 1.0


def mmd(x: Float[Array, "n feature"], share: Float[Array, " n"], kernel: str) -> Scalar:
    """Squared maximum mean discrepancy of two sets of features: Σ_ij c_i c_j k(x_i, x_j) (arXiv:1412.3474, eq. 1).

    `share` is each row's weight in the mean of its set: the weights of the first set add up to 1, those of the second
    to −1. Features are divided by the root of their mean squared distance, so that shrinking all of them does not
    reduce the loss. The kernel is linear (which gives the distance of the two means), or the mean of five Gaussians
    (arXiv:1502.02791).
    """
    of = x @ x.T
    squares = jnp.diagonal(of)
    apart = jnp.maximum(squares[:, None] + squares[None] - 2.0 * of, 0.0)
    each = jnp.abs(share)
    apart = apart / jnp.maximum(each @ apart @ each / 4.0, 1e-12)
    kernels = -0.5 * apart if kernel == "linear" else sum(jnp.exp(-apart / width) for width in WIDTHS) / len(WIDTHS)
    return share @ kernels @ share


WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the Gaussian kernels, in mean squared distances
