"""Distributions whose draws are clipped to bounds and, for integer parameters, rounded."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import constraints

from headstart.core.types import Key


class BoundedDistribution(dist.Distribution):
    """Another distribution's draws as float32, clipped to [low, high], and rounded if `integer`."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("base", "low", "high")
    pytree_aux_fields = ("integer",)

    def __init__(self, base: dist.Distribution, low: Array, high: Array, integer: bool):
        self.base, self.low, self.high, self.integer = base, low, high, integer
        super().__init__(base.batch_shape, base.event_shape)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        if self.base.is_discrete:  # JAX draws some of these only with keys of this kind
            key = jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl="threefry2x32")
        with jax.numpy_rank_promotion("allow"):  # numpyro's code relies on it
            draws = jnp.asarray(self.base.sample(key, sample_shape), jnp.float32)
        return jnp.clip(jnp.floor(draws + 0.5) if self.integer else draws, self.low, self.high)
