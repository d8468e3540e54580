"""What can be seen and what can be done: vectors of real numbers, or one of some choices."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class Box:
    """Vectors of real numbers, each within its bounds (which may be infinite)."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.low)

    def rescale(self, action: Float[Array, " n"]) -> Float[Array, " n"]:
        """Policies act in [-1, 1]; the world wants its own units. Clipped. Unbounded components pass as they are."""
        low, high = jnp.array(self.low), jnp.array(self.high)
        bounded = jnp.isfinite(low) & jnp.isfinite(high)
        low, high = jnp.where(bounded, low, -1.0), jnp.where(bounded, high, 1.0)
        inside = low + (jnp.clip(action, -1.0, 1.0) + 1.0) * 0.5 * (high - low)
        return jnp.where(bounded, inside, action)


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of `n` choices, 0 … n - 1."""

    n: int

    @property
    def size(self) -> int:
        return self.n

    def rescale(self, action: Int[Array, ""]) -> Int[Array, ""]:
        """Choices are the world's own already."""
        return action


Space = Box | Discrete
