"""Exact counts. JAX computes in 32 bits: adding 1 to a float32 has no effect from 2^24 on, and int32 ends at 2^31."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.types import Statistics

LOW_BITS = 20  # bits of a count's lower part
DIGIT_BITS = 10  # bits of `gathered` per multiplication: a denominator has at most 20, so that a product fits into 31


class Count(Statistics):
    """An integer from 0 to 2^51, as two int32."""

    high: Int[Array, "*seed"]
    low: Int[Array, "*seed"]  # below 2^20

    def add(self, n: Array) -> "Count":
        """Returns the count plus `n`, an integer from 0 to 2^30 of any dtype."""
        low = self.low + n.astype(jnp.int32)
        return Count(self.high + (low >> LOW_BITS), low & ((1 << LOW_BITS) - 1))

    def less(self, other: "Count") -> Bool[Array, "*seed"]:
        """Returns whether this count is below the other."""
        return (self.high < other.high) | ((self.high == other.high) & (self.low < other.low))

    def share(self, of: "Count") -> Float[Array, "*seed"]:
        """Returns this count divided by `of`, at most 1. It grows with the count at any size, in steps of 6e-8."""
        whole = lambda count: count.high.astype(jnp.float32) * 2.0**LOW_BITS + count.low.astype(jnp.float32)
        return jnp.minimum(whole(self) / whole(of), 1.0)

    def numbers(self) -> Float[np.ndarray, "*seed"]:
        """Returns the count in float64, which is exact. It is not for compiled code."""
        return np.asarray(np.asarray(self.high) * 2.0**LOW_BITS + np.asarray(self.low))


def count_of(n: float) -> Count:
    """Returns an integer as a count; the largest possible count if it is too large."""
    n = int(min(n, (1 << 31 + LOW_BITS) - 1))
    return Count(jnp.int32(n >> LOW_BITS), jnp.int32(n & ((1 << LOW_BITS) - 1)))


def due(rate: Fraction, gathered: Int[Array, ""], owed: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Returns the integer part of rate · gathered + owed / denominator, and the remainder as the new `owed`.

    `owed` is in units of 1 / denominator, so that no rounding adds up over any number of calls. The denominator is at
    most 10^6 and `gathered` below 2^30; the division is digit by digit, so that no product overflows int32.
    """
    whole, part = divmod(rate.numerator, rate.denominator)
    if not part:
        return whole * gathered, owed
    of, steps, rest = rate.denominator, jnp.zeros_like(gathered), jnp.zeros_like(gathered)
    for shift in (2 * DIGIT_BITS, DIGIT_BITS, 0):
        digit = (gathered >> shift) & ((1 << DIGIT_BITS) - 1)
        rest = (rest << DIGIT_BITS) + part * digit
        steps, rest = (steps << DIGIT_BITS) + jax.lax.div(rest, jnp.int32(of)), jax.lax.rem(rest, jnp.int32(of))
    rest = rest + owed
    return whole * gathered + steps + jax.lax.div(rest, jnp.int32(of)), jax.lax.rem(rest, jnp.int32(of))
