"""Exact conversion of numbers between float32 JAX and float64 MuJoCo."""

import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32


def to_double_halves(x: Float[Array, " n"]) -> UInt32[Array, " 2*n"]:
    """Returns the same numbers as float64, each as two halves (low, high): the layout of numpy's `.view(np.float64)`.

    Exact for every normal float32, infinities and NaN; denormals (below 1.2e-38) become 0. JAX without x64 has no
    float64, but can pass on its bits.
    """
    single = lax.bitcast_convert_type(x, jnp.uint32)
    sign, exponent, fraction = single & jnp.uint32(0x80000000), (single >> 23) & 0xFF, single & 0x7FFFFF
    double_exponent = jnp.where(exponent == 0xFF, jnp.uint32(0x7FF), exponent + (1023 - 127))
    zero = exponent == 0
    high = jnp.where(zero, sign, sign | (double_exponent << 20) | (fraction >> 3))
    low = jnp.where(zero, jnp.uint32(0), fraction << 29)
    return jnp.stack([low, high], -1).reshape(2 * x.size)


def doubles(halves: UInt32[Array, " n2"]) -> Float[Array, " n"]:
    """Returns the float64 numbers of these halves. Call and use it under `jax.enable_x64(True)`."""
    return lax.bitcast_convert_type(halves.reshape(-1, 2), jnp.float64)


def to_halves(x: Float[Array, " n"]) -> UInt32[Array, " 2*n"]:
    """Returns the two halves of each float64 number."""
    return lax.bitcast_convert_type(x, jnp.uint32).reshape(-1)


def as_typed(value: np.float32, nominal: float) -> float:
    """Returns the float64 that this float32 was written as.

    The nominal value, if it rounds to `value`; else the shortest decimal, if it has at most 6 digits (`6.3`); else a
    multiple of the nominal value by at most 4 digits (`x1.1`); else `value` itself, such as a random draw.
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
