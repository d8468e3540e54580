"""Gradient surgery: one direction from the gradients of several tasks, as a weight for each gradient.

These functions need no gradients g_i, only their Gram matrix of products g_i · g_j, so that their cost does not depend
on the number of parameters. The direction is `weights · g`. Equal weights of 1/K give the gradient of the mean loss.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Gram = Float[Array, "task task"]
Weights = Float[Array, " task"]

TINY = 1e-12
ROUNDING = 4e-6  # relative error of products of gradients, which are float32 sums
EXCHANGES = 100  # at most, of two gradients each; two gradients need one, ten about thirty
CLOSE = 1e-5  # difference of slopes that counts as none


def mean(gram: Gram, key: Array) -> Weights:
    """The gradient of the mean loss."""
    return jnp.full(len(gram), 1.0 / len(gram))


def pcgrad(gram: Gram, key: Array) -> Weights:
    """The mean of the gradients after projecting conflicts away (arXiv:2001.06782, algorithm 1).

    In a random order, each gradient loses its component against the original of every other one it conflicts with.
    """
    k = len(gram)

    def project(i: Array, key: Array) -> Weights:
        def project_once(own: Weights, j: Array) -> tuple[Weights, None]:
            overlap = own @ gram[j]
            removed = jnp.where((j != i) & (overlap < 0), overlap / jnp.maximum(gram[j, j], TINY), 0.0)
            return own.at[j].add(-removed), None

        return jax.lax.scan(project_once, jax.nn.one_hot(i, k, dtype=gram.dtype), jax.random.permutation(key, k))[0]

    return jax.vmap(project)(jnp.arange(k), jax.random.split(key, k)).mean(0)


def mgda(gram: Gram, key: Array) -> Weights:
    """Multiple-gradient descent (Désidéri 2012; arXiv:1810.04650, eq. 3): the shortest convex combination."""
    return min_norm_in_simplex(gram, jnp.zeros_like(gram[0]), 1.0)


def cagrad(gram: Gram, key: Array, c: float) -> Weights:
    """Conflict-averse gradient descent (arXiv:2110.14048, algorithm 1).

    d = g_0 + c ‖g_0‖ / ‖g_w‖ g_w, divided by 1 + c², where g_0 is the mean and w on the simplex minimises g_w · g_0 + c
    ‖g_0‖ ‖g_w‖. Among all directions within c ‖g_0‖ of the mean, d improves the worst task most.
    """
    # If gradients nearly cancel, rounding dominates: take the lower bound of ‖g_0‖ and the upper bound of ‖g_w‖.
    size, doubt = gram.mean(), ROUNDING * jnp.diagonal(gram).max() + TINY
    w = min_norm_in_simplex(gram, gram.mean(1) / jnp.sqrt(jnp.maximum(size, doubt)), c)
    ratio = jnp.sqrt(jnp.maximum(size - doubt, 0.0) / (jnp.maximum(w @ gram @ w, 0.0) + doubt))
    return (1.0 / len(gram) + c * ratio * w) / (1.0 + c**2)


def min_norm_in_simplex(gram: Gram, tilt: Weights, c: float) -> Weights:
    """Returns w on the simplex that minimises w · tilt + c ‖g_w‖.

    Pairwise Frank-Wolfe with exact line search: weight moves from the gradient with the highest slope to the one with
    the lowest. With two gradients, one step suffices.
    """
    size = jnp.maximum(jnp.trace(gram), TINY)
    gram, tilt = gram / size, tilt / jnp.sqrt(size)

    def slopes(w: Weights) -> tuple[Weights, Array, Array]:
        slope = tilt + c * (gram @ w) / jnp.sqrt(jnp.maximum(w @ gram @ w, TINY))
        return slope, jnp.argmin(slope), jnp.argmax(jnp.where(w > 0, slope, -jnp.inf))

    def not_converged(carry: tuple[Array, Weights]) -> Array:
        i, w = carry
        slope, to, out = slopes(w)
        return (i < EXCHANGES) & (slope[out] - slope[to] > CLOSE)

    def exchange(carry: tuple[Array, Weights]) -> tuple[Array, Weights]:
        i, w = carry
        _, to, out = slopes(w)
        of = gram @ w
        # On the line, ‖g_w‖² = q_0 + 2 q_1 x + q_2 x², and the slope is 0 where (q_1 + q_2 x) / ‖g_w‖ = steep.
        steep = (tilt[out] - tilt[to]) / jnp.maximum(c, TINY)
        q_1, q_2 = of[to] - of[out], gram[to, to] - 2 * gram[to, out] + gram[out, out]
        room = q_2 - jnp.square(steep)
        left = jnp.maximum((w @ of) * q_2 - jnp.square(q_1), 0.0) / jnp.maximum(room, TINY)
        best = (steep * jnp.sqrt(left) - q_1) / jnp.maximum(q_2, TINY)
        step = jnp.clip(jnp.where(room > 0, best, jnp.inf), 0.0, w[out])
        return i + 1, w.at[to].add(step).at[out].add(-step)

    return jax.lax.while_loop(not_converged, exchange, (jnp.int32(0), jnp.full_like(tilt, 1.0 / len(tilt))))[1]


SURGERIES: dict[str, Callable[..., Weights]] = {"mean": mean, "pcgrad": pcgrad, "mgda": mgda, "cagrad": cagrad}


def diagnose(gram: Gram) -> dict[str, Float[Array, ""]]:
    """Returns diagnostics of K ≥ 2 gradients.

    The mean cosine of their pairs, the share of pairs in conflict (cosine < 0), each one's share of the sum of their
    lengths, and the winner-take-all index: 0 if these shares are equal, 1 if one gradient has all.
    """
    k = len(gram)
    lengths = jnp.sqrt(jnp.diagonal(gram))
    cosines = gram / jnp.maximum(lengths[:, None] * lengths[None, :], TINY)
    pairs = jnp.triu_indices(k, 1)
    share = lengths / jnp.maximum(lengths.sum(), TINY)
    return {
        "cosine": cosines[pairs].mean(),
        "conflict": (cosines[pairs] < 0).mean(),
        "winner": (share.max() - 1 / k) / (1 - 1 / k),
        **{f"share_{i + 1}": share[i] for i in range(k)},
    }
