"""One direction out of the gradients of several tasks: what each gradient weighs in it.

All that these need to know of gradients g_i is how they lie to one another: their Gram matrix, of g_i · g_j. So
gradients of millions of numbers cost no more than their products, and a direction is `weights · g`. Equal weights of
1/K are the gradient of the mean loss.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Gram = Float[Array, "task task"]
Weights = Float[Array, " task"]

TINY = 1e-12
ROUNDING = 4e-6  # how far products of gradients may be off, in shares of the largest: they are sums in float32
EXCHANGES = 100  # between two gradients at a time, at most; of two one is enough, of ten some thirty
CLOSE = 1e-5  # slopes that are as good as equal


def mean(gram: Gram, key: Array) -> Weights:
    """The gradient of the mean loss."""
    return jnp.full(len(gram), 1.0 / len(gram))


def pcgrad(gram: Gram, key: Array) -> Weights:
    """Projecting conflicting gradients (arXiv:2001.06782, algorithm 1), and the mean of what is left of them.

    One after the other, in a random order, each gradient loses what points against another's original one.
    """
    k = len(gram)

    def project(i: Array, key: Array) -> Weights:
        def against(mine: Weights, j: Array) -> tuple[Weights, None]:
            overlap = mine @ gram[j]
            lost = jnp.where((j != i) & (overlap < 0), overlap / jnp.maximum(gram[j, j], TINY), 0.0)
            return mine.at[j].add(-lost), None

        return jax.lax.scan(against, jax.nn.one_hot(i, k, dtype=gram.dtype), jax.random.permutation(key, k))[0]

    return jax.vmap(project)(jnp.arange(k), jax.random.split(key, k)).mean(0)


def mgda(gram: Gram, key: Array) -> Weights:
    """Multiple-gradient descent (Désidéri 2012; arXiv:1810.04650, eq. 3): the shortest of all weighted means."""
    return min_norm_in_simplex(gram, jnp.zeros_like(gram[0]), 1.0)


def cagrad(gram: Gram, key: Array, c: float) -> Weights:
    """Conflict-averse gradient descent (arXiv:2110.14048, algorithm 1).

    d = g_0 + c ‖g_0‖ / ‖g_w‖ g_w, divided by 1 + c², where g_0 is the mean and w on the simplex minimises
    g_w · g_0 + c ‖g_0‖ ‖g_w‖: of all directions within c ‖g_0‖ of the mean, that which helps the worst task most.
    """
    # Of gradients that nearly cancel, what is left is rounding: ‖g_0‖ is taken at its least and ‖g_w‖ at its most.
    size, doubt = gram.mean(), ROUNDING * jnp.diagonal(gram).max() + TINY
    w = min_norm_in_simplex(gram, gram.mean(1) / jnp.sqrt(jnp.maximum(size, doubt)), c)
    ratio = jnp.sqrt(jnp.maximum(size - doubt, 0.0) / (jnp.maximum(w @ gram @ w, 0.0) + doubt))
    return (1.0 / len(gram) + c * ratio * w) / (1.0 + c**2)


def min_norm_in_simplex(gram: Gram, tilt: Weights, c: float) -> Weights:
    """Returns w on the simplex where w · tilt + c ‖g_w‖ is least.

    Weight goes from the gradient where the slope is highest to that where it is lowest, as far as is best along that
    line (pairwise Frank-Wolfe, with exact steps): of two gradients, all of it in one step.
    """
    size = jnp.maximum(jnp.trace(gram), TINY)
    gram, tilt = gram / size, tilt / jnp.sqrt(size)

    def slopes(w: Weights) -> tuple[Weights, Array, Array]:
        slope = tilt + c * (gram @ w) / jnp.sqrt(jnp.maximum(w @ gram @ w, TINY))
        return slope, jnp.argmin(slope), jnp.argmax(jnp.where(w > 0, slope, -jnp.inf))

    def steep_yet(carry: tuple[Array, Weights]) -> Array:
        i, w = carry
        slope, to, out = slopes(w)
        return (i < EXCHANGES) & (slope[out] - slope[to] > CLOSE)

    def exchange(carry: tuple[Array, Weights]) -> tuple[Array, Weights]:
        i, w = carry
        _, to, out = slopes(w)
        of = gram @ w
        # Along the line ‖g_w‖² = q_0 + 2 q_1 x + q_2 x², and the slope is 0 where (q_1 + q_2 x) / ‖g_w‖ = steep.
        steep = (tilt[out] - tilt[to]) / jnp.maximum(c, TINY)
        q_1, q_2 = of[to] - of[out], gram[to, to] - 2 * gram[to, out] + gram[out, out]
        room = q_2 - jnp.square(steep)
        left = jnp.maximum((w @ of) * q_2 - jnp.square(q_1), 0.0) / jnp.maximum(room, TINY)
        best = (steep * jnp.sqrt(left) - q_1) / jnp.maximum(q_2, TINY)
        step = jnp.clip(jnp.where(room > 0, best, jnp.inf), 0.0, w[out])
        return i + 1, w.at[to].add(step).at[out].add(-step)

    return jax.lax.while_loop(steep_yet, exchange, (jnp.int32(0), jnp.full_like(tilt, 1.0 / len(tilt))))[1]


SURGERIES: dict[str, Callable[..., Weights]] = {"mean": mean, "pcgrad": pcgrad, "mgda": mgda, "cagrad": cagrad}


def diagnose(gram: Gram) -> dict[str, Float[Array, ""]]:
    """How K ≥ 2 gradients get along.

    The mean of their pairs' cosines, the share of pairs in conflict (cosine < 0), each one's share of all their
    lengths, and the winner-take-all index: 0 where these are equal, 1 where one has all.
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
