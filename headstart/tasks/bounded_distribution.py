"""Laws whose draws are kept within bounds and, where a parameter is counted, are whole numbers."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import constraints

from headstart.core.types import Key


class BoundedDistribution(dist.Distribution):
    """The draws of another law as float32, set to the nearest of [low, high], and rounded where they are `whole`."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("base", "low", "high")
    pytree_aux_fields = ("whole",)

    def __init__(self, base: dist.Distribution, low: Array, high: Array, whole: bool):
        self.base, self.low, self.high, self.whole = base, low, high, whole
        super().__init__(base.batch_shape, base.event_shape)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        if self.base.is_discrete:  # JAX draws some of these with keys of one kind only
            key = jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl="threefry2x32")
        with jax.numpy_rank_promotion("allow"):  # as numpyro is written
            drawn = jnp.asarray(self.base.sample(key, sample_shape), jnp.float32)
        return jnp.clip(jnp.floor(drawn + 0.5) if self.whole else drawn, self.low, self.high)
