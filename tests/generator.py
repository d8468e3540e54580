"""Random numbers that take next to nothing to compile: what tests draw by."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import define_prng_impl
from jaxtyping import Array

_one_program = functools.partial(jax.jit, inline=True)  # not one for each of its operations


def _hashed(x: Array) -> Array:
    """Returns each number in another's place, by lowbias32 (Wellons, https://nullprogram.com/blog/2018/07/31/)."""
    x = (x ^ lax.shift_right_logical(x, np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ lax.shift_right_logical(x, np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ lax.shift_right_logical(x, np.uint32(16))


def _drawn(key: Array, count: Array) -> Array:
    """Returns what a key draws at those places."""
    return _hashed(_hashed(count ^ key[0]) + key[1])


@_one_program
def _seed(seed: Array) -> Array:
    return _hashed(lax.convert_element_type(seed, np.uint32) + np.array([0x9E3779B9, 0x3C6EF372], np.uint32))


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return _bits(key, 32, (*shape, 2))


@_one_program
def _fold_in(key: Array, data: int) -> Array:
    # Not where `split` looks, or the i-th folded in would be one of those that come of splitting.
    return _drawn(~key, lax.convert_element_type(data, np.uint32) + np.array([0, 1 << 31], np.uint32))


@functools.partial(_one_program, static_argnames=("width", "shape"))
def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    drawn = _drawn(key, lax.iota(np.uint32, math.prod(shape)).reshape(shape))
    return drawn.astype({8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}[width])


GENERATOR = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in, name="quick", tag="quick"
)
