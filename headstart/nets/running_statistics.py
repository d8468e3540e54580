"""Running statistics. They are part of knowledge: they transfer and are saved with the networks trained on them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.types import Statistics

EPSILON, CLIP = 1e-8, 10.0  # added to a variance; the bound of a normalized number
NEGLIGIBLE = 1e-6  # a standard deviation up to this times max(1, |mean|) is rounding


def share(new: Float[Array, ""], old: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the share of the total weight that is new; 0 if there is no new weight."""
    return new / jnp.maximum(old + new, 1e-8)


class RunningMeanStd(Statistics):
    """Running mean and variance (Chan, Golub and LeVeque 1979, for merging batches).

    A number that never varied has a variance of exactly 0, however many rows there are, without rounding errors.
    """

    mean: Float[Array, "*shape"]
    variance: Float[Array, "*shape"]
    count: Float[Array, "*shape"]  # one for each number: a number that is new in another space begins at 0

    def update(self, x: Float[Array, "n *shape"], weight: Float[Array, " n"]) -> "RunningMeanStd":
        """Returns the statistics with the rows of `x` merged in, by their weight."""
        weight = weight.reshape(-1, *[1] * (x.ndim - 1))
        n = weight.sum()
        x = jnp.where(weight > 0, x, 0.0)
        mean = (x * weight).sum(0) / jnp.maximum(n, 1e-8)
        variance = (jnp.square(x - mean[None]) * weight).sum(0) / jnp.maximum(n, 1e-8)
        first = x[jnp.argmax(weight.reshape(-1) > 0)]
        still = ((x == first[None]) | (weight <= 0)).all(0)
        mean, variance = jnp.where(still, first, mean), jnp.where(still, 0.0, variance)
        new, shift = share(n, self.count), mean - self.mean
        spread = (1.0 - new) * self.variance + new * variance + new * (1.0 - new) * jnp.square(shift)
        return RunningMeanStd(self.mean + new * shift, spread, self.count + n)

    @property
    def constant(self) -> Bool[Array, "*shape"]:
        """Whether a number did not vary so far, up to rounding."""
        return self.variance <= NEGLIGIBLE**2 * jnp.maximum(jnp.square(self.mean), 1.0)

    def for_new_training(self) -> "RunningMeanStd":
        """Returns the statistics for another training. Numbers that never varied are estimated from new data alone.

        Merging two constants that differ by a millimetre would give a standard deviation of a fraction of that.
        """
        return self.replace(count=jnp.where(self.constant, 0.0, self.count))

    def normalize(self, x: Float[Array, "*shape"], clip: float = CLIP) -> Float[Array, "*shape"]:
        """Returns `x` in standard deviations from the mean, clipped. Numbers that never varied keep their units."""
        spread = jnp.where(self.constant, 1.0, jnp.sqrt(self.variance + EPSILON))
        mean, spread = jax.lax.stop_gradient((self.mean, spread))
        return jnp.clip((x - mean) / spread, -clip, clip)


class Setting(Statistics):
    """A number that a learner sets in `prepare`, such as whether the policy gets the true parameters."""

    value: Float[Array, "*seed"]


def running_mean_std(size: int) -> RunningMeanStd:
    """Returns statistics without data: mean 0, variance 1."""
    return RunningMeanStd(jnp.zeros(size), jnp.ones(size), jnp.zeros(size))


class RunningRMS(Statistics):
    """Running root mean square: it divides returns without moving their zero."""

    square: Float[Array, "*seed"]
    count: Float[Array, "*seed"]

    def update(self, x: Float[Array, " n"], weight: Float[Array, " n"]) -> "RunningRMS":
        """Returns the statistics with the entries of `x` merged in, by their weight."""
        n = weight.sum()
        square = (jnp.square(jnp.where(weight > 0, x, 0.0)) * weight).sum() / jnp.maximum(n, 1e-8)
        new = share(n, self.count)
        return RunningRMS((1.0 - new) * self.square + new * square, self.count + n)

    @property
    def rms(self) -> Float[Array, "*seed"]:
        return jnp.sqrt(self.square + 1e-8)


def running_rms() -> RunningRMS:
    """Returns statistics without data: a root mean square of 1."""
    return RunningRMS(jnp.ones(()), jnp.zeros(()))
