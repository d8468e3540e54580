"""What makes features the same in two domains: a gradient turned around, and the distance of two clouds of features."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def reverse_gradient(x: Float[Array, "*n"], strength: float | Scalar) -> Float[Array, "*n"]:
    """Returns x; but the gradient that comes back is multiplied by −λ (arXiv:1505.07818, eqs. 14 and 15)."""
    return jax.lax.stop_gradient((1.0 + strength) * x) - strength * x


def reversal_strength(progress: float | Scalar, pace: float) -> Scalar:
    """λ_p = 2 / (1 + exp(−γ p)) − 1: from 0 to nearly 1 over the training (arXiv:1505.07818, section 5.2.2)."""
    return 2.0 * jax.nn.sigmoid(jnp.asarray(pace * progress)) - 1.0


def mmd(x: Float[Array, "n feature"], share: Float[Array, " n"], kernel: str) -> Scalar:
    """Squared maximum mean discrepancy of two clouds of features: Σ_ij c_i c_j k(x_i, x_j) (arXiv:1412.3474, eq. 1).

    `share` is each row's part of its own cloud's mean: the first cloud's parts add up to 1, the second's to −1. The
    features are measured by the root of their mean squared distance from one another, so that nothing is gained by
    making all of them smaller. The kernel is linear (then it is the distance of the two means), or the mean of five
    Gaussian ones (arXiv:1502.02791).
    """
    of = x @ x.T
    squares = jnp.diagonal(of)
    apart = jnp.maximum(squares[:, None] + squares[None] - 2.0 * of, 0.0)
    each = jnp.abs(share)
    apart = apart / jnp.maximum(each @ apart @ each / 4.0, 1e-12)
    kernels = -0.5 * apart if kernel == "linear" else sum(jnp.exp(-apart / width) for width in WIDTHS) / len(WIDTHS)
    return share @ kernels @ share


WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the Gaussian kernels, in mean squared distances
