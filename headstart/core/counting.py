"""Exact counts. JAX counts in 32 bits: float32 stands still at 2^24, and int32 ends at 2^31."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Statistics

LOW = 20  # bits of a count's lower part
DIGIT = 10  # bits of `gathered` that are multiplied at once: a fraction's part has at most 20, and both fit into 31


class Count(Statistics):
    """A whole number from 0 to 2^51, as two of 32 bits."""

    high: Int[Array, "*seed"]
    low: Int[Array, "*seed"]  # below 2^20

    def add(self, n: Array) -> "Count":
        """Returns the count plus `n`, a whole number from 0 to 2^30 of any dtype."""
        low = self.low + n.astype(jnp.int32)
        return Count(self.high + (low >> LOW), low & ((1 << LOW) - 1))

    def less(self, than: "Count") -> Bool[Array, "*seed"]:
        """Returns whether this count is below the other."""
        return (self.high < than.high) | ((self.high == than.high) & (self.low < than.low))

    def share(self, of: "Count") -> Float[Array, "*seed"]:
        """Returns this count divided by `of`, at most 1. It goes on rising at any size, though in steps of 6e-8."""
        whole = lambda count: count.high.astype(jnp.float32) * 2.0**LOW + count.low.astype(jnp.float32)
        return jnp.minimum(whole(self) / whole(of), 1.0)

    def numbers(self) -> Float[np.ndarray, "*seed"]:
        """Returns the count in float64, which is exact. Not for compiled code."""
        return np.asarray(np.asarray(self.high) * 2.0**LOW + np.asarray(self.low))


def count_of(n: float) -> Count:
    """Returns a whole number as a count; the largest there is where it is larger."""
    n = int(min(n, (1 << 31 + LOW) - 1))
    return Count(jnp.int32(n >> LOW), jnp.int32(n & ((1 << LOW) - 1)))


def due(rate: Fraction, gathered: Int[Array, ""], owed: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Returns the whole part of rate · gathered + owed / denominator, and its remainder as the new `owed`.

    `owed` is in parts of the rate's denominator, so that over any number of calls nothing is lost and nothing is
    rounded. The denominator is at most 10^6 and `gathered` below 2^30; digit by digit, no product leaves int32.
    """
    whole, part = divmod(rate.numerator, rate.denominator)
    if not part:
        return whole * gathered, owed
    of, steps, rest = rate.denominator, jnp.zeros_like(gathered), jnp.zeros_like(gathered)
    for shift in (2 * DIGIT, DIGIT, 0):
        digit = (gathered >> shift) & ((1 << DIGIT) - 1)
        rest = (rest << DIGIT) + part * digit
        steps, rest = (steps << DIGIT) + jax.lax.div(rest, jnp.int32(of)), jax.lax.rem(rest, jnp.int32(of))
    rest = rest + owed
    return whole * gathered + steps + jax.lax.div(rest, jnp.int32(of)), jax.lax.rem(rest, jnp.int32(of))
