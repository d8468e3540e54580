"""Running statistics. They are knowledge: they transfer, and are saved, with what was learned under them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.types import Statistics

EPSILON, CLIP = 1e-8, 10.0  # added to a variance; how many deviations from the mean a number is at most
NEGLIGIBLE = 1e-6  # a standard deviation of this share of the mean is noise; of this size, where the mean is below 1


def share(new: Float[Array, ""], old: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns what part of all weight is new; 0 where none is, so that nothing seen changes nothing."""
    return new / jnp.maximum(old + new, 1e-8)


class RunningMeanStd(Statistics):
    """Mean and variance of all that was seen so far (Chan, Golub and LeVeque 1979, for merging batches).

    A number that never varied has a variance of exactly 0, however many rows there are: rounding would make some of it.
    """

    mean: Float[Array, "*shape"]
    variance: Float[Array, "*shape"]
    count: Float[Array, "*shape"]  # of each number its own: one that is new in another space begins at 0

    def update(self, x: Float[Array, "n *shape"], weight: Float[Array, " n"]) -> "RunningMeanStd":
        """Returns the moments of what was seen so far and of the rows of `x` that have weight."""
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
        """Whether a number did not vary so far, but for noise."""
        return self.variance <= NEGLIGIBLE**2 * jnp.maximum(jnp.square(self.mean), 1.0)

    def for_new_training(self) -> "RunningMeanStd":
        """Returns the moments for another training: of numbers that never varied, those of what it sees alone.

        Merged, two constants that differ by a millimetre would have a spread of a fraction of that.
        """
        return self.replace(count=jnp.where(self.constant, 0.0, self.count))

    def normalize(self, x: Float[Array, "*shape"], clip: float = CLIP) -> Float[Array, "*shape"]:
        """Returns `x` in standard deviations from the mean, clipped; numbers that never varied in their own units."""
        spread = jnp.where(self.constant, 1.0, jnp.sqrt(self.variance + EPSILON))
        mean, spread = jax.lax.stop_gradient((self.mean, spread))
        return jnp.clip((x - mean) / spread, -clip, clip)


class Setting(Statistics):
    """A number that a learner sets in `observe`, such as whether it is told the truth."""

    value: Float[Array, "*seed"]


def running_mean_std(size: int) -> RunningMeanStd:
    """Returns before anything was seen: mean 0, variance 1."""
    return RunningMeanStd(jnp.zeros(size), jnp.ones(size), jnp.zeros(size))


class RunningRMS(Statistics):
    """The root mean square of all that was seen so far: what divides returns, without moving their zero."""

    square: Float[Array, "*seed"]
    count: Float[Array, "*seed"]

    def update(self, x: Float[Array, " n"], weight: Float[Array, " n"]) -> "RunningRMS":
        """Returns the scale of what was seen so far and of the entries of `x` that have weight."""
        n = weight.sum()
        square = (jnp.square(jnp.where(weight > 0, x, 0.0)) * weight).sum() / jnp.maximum(n, 1e-8)
        new = share(n, self.count)
        return RunningRMS((1.0 - new) * self.square + new * square, self.count + n)

    @property
    def rms(self) -> Float[Array, "*seed"]:
        return jnp.sqrt(self.square + 1e-8)


def running_rms() -> RunningRMS:
    """Returns before anything was seen: 1."""
    return RunningRMS(jnp.ones(()), jnp.zeros(()))
