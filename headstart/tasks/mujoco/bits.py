"""Numbers that cross between float32 JAX and float64 MuJoCo without being worn down on the way."""

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32


def to_double_halves(x: Float[Array, " n"]) -> UInt32[Array, " 2*n"]:
    """Returns the same numbers as float64, each as its two halves (low, high): what numpy's `.view(np.float64)` reads.

    Exact for every normal float32, infinities and NaN; denormals (below 1.2e-38) become 0. JAX without x64 cannot
    hold a float64, but it can carry its bits.
    """
    single = lax.bitcast_convert_type(x, jnp.uint32)
    sign, exponent, fraction = single & jnp.uint32(0x80000000), (single >> 23) & 0xFF, single & 0x7FFFFF
    wide = jnp.where(exponent == 0xFF, jnp.uint32(0x7FF), exponent + (1023 - 127))
    zero = exponent == 0
    high = jnp.where(zero, sign, sign | (wide << 20) | (fraction >> 3))
    low = jnp.where(zero, jnp.uint32(0), fraction << 29)
    return jnp.stack([low, high], -1).reshape(2 * x.size)


def doubles(halves: UInt32[Array, " n2"]) -> Float[Array, " n"]:
    """Returns the float64 whose halves these are. To be called, and used, under `jax.enable_x64(True)`."""
    return lax.bitcast_convert_type(halves.reshape(-1, 2), jnp.float64)


def to_halves(x: Float[Array, " n"]) -> UInt32[Array, " 2*n"]:
    """Returns float64 numbers as their two halves each."""
    return lax.bitcast_convert_type(x, jnp.uint32).reshape(-1)


def as_typed(value: np.float32, nominal: float) -> float:
    """Returns the float64 that a person meant who typed this float32.

    The nominal itself, where it rounds to `value`; else the shortest decimal, where that has at most 6 digits (`6.3`);
    else a multiple of the nominal by at most 4 digits (`x1.1`); else (a random draw) `value` as it is.
    """
    if np.float32(nominal) == value:
        return nominal
    if not np.isfinite(value):
        return float(value)
    shortest = np.format_float_scientific(value, unique=True, trim="-")
    if sum(c.isdigit() for c in shortest.split("e")[0]) <= 6:
        return float(shortest)
    if nominal:
        multiple = nominal * float(f"{float(value) / nominal:.4g}")
        if np.float32(multiple) == value:
            return multiple
    return float(value)
