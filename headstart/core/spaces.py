"""Observation spaces: vectors of real numbers, or images. Action spaces: such vectors, or discrete actions."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from headstart.core.errors import InputError

UNBOUNDED = 1e9  # a bound of at least this size (1e30, the largest float32, the largest int32) counts as none


class Component(NamedTuple):
    """One number of a vector, or one discrete action. Its name identifies it across spaces."""

    name: str
    unit: str = ""  # such as m/s; "" if it has none or it is unknown


def components(*texts: str) -> tuple[Component, ...]:
    """Returns components from texts such as "cart_velocity m/s": a name, and a unit if it has one."""
    return tuple(Component(name, unit) for name, _, unit in (text.partition(" ") for text in texts))


def _named(given: tuple[Component, ...], size: int) -> tuple[str, ...]:
    """Returns the names of the components; without components, their indices."""
    return tuple(c.name for c in given) if given else tuple(map(str, range(size)))


def _check_components(owner: str, given: tuple[Component, ...], size: int) -> None:
    if given and (len(given) != size or len({c.name for c in given}) != size):
        raise InputError(
            f"{owner} has {size} components and {len(given)} names for them ({', '.join(c.name for c in given)}); "
            "give each component a name of its own, or give no names."
        )


@dataclasses.dataclass(frozen=True)
class Box:
    """Vectors of real numbers, each within its bounds (which may be infinite).

    `components` describes each number; () if nobody does. `one_hot_groups` is for vectors that only encode a discrete
    state: the lengths of groups of which each is one-hot, or for a length of 1 a bit. Such a vector has an index below
    `num_states`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    one_hot_groups: tuple[int, ...] = ()
    components: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        _check_components("A box", self.components, len(self.low))
        if self.one_hot_groups and sum(self.one_hot_groups) != len(self.low):
            raise InputError(
                f"Box(one_hot_groups={self.one_hot_groups!r}) is out of range: their sum must be {len(self.low)}."
            )

    @property
    def size(self) -> int:
        return len(self.low)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each number; without components, its index."""
        return _named(self.components, self.size)

    @property
    def num_states(self) -> int | None:
        """How many different vectors there are; None without `one_hot_groups`."""
        return math.prod(max(size, 2) for size in self.one_hot_groups) if self.one_hot_groups else None

    def index(self, x: Float[Array, "*n size"]) -> Int[Array, "*n"]:
        """Returns the index of the state that a vector encodes."""
        values, above = [], 1  # what each of its numbers adds to the index
        for size in reversed(self.one_hot_groups):
            values = [above * i for i in (range(size) if size > 1 else (1,))] + values
            above *= max(size, 2)
        return (x > 0.5).astype(jnp.int32) @ jnp.array(values, jnp.int32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Returns the names of the components that lack a lower or an upper bound."""
        ends = zip(self.names, self.low, self.high, strict=True)
        return tuple(name for name, low, high in ends if not (abs(low) < UNBOUNDED and abs(high) < UNBOUNDED))

    def rescale(self, action: Float[Array, " n"]) -> Float[Array, " n"]:
        """Converts a policy's action to the env's units.

        A component with both bounds is clipped to [-1, 1] and scaled so that -1 is `low` and 1 is `high`. One with a
        single bound is shifted so that -1 is `low` (or 1 is `high`) and clipped there, without scaling. One without
        bounds is left unchanged.
        """
        ends = np.array(self.low, np.float32), np.array(self.high, np.float32)
        above, below = (np.abs(end) < UNBOUNDED for end in ends)  # whether there is a bound
        low = jnp.array(np.where(above, ends[0], np.float32(-1.0)))
        high = jnp.array(np.where(below, ends[1], np.float32(1.0)))
        between = low + (jnp.clip(action, -1.0, 1.0) + 1.0) * 0.5 * (high - low)
        if (above & below).all():
            return between
        one_sided = jnp.where(above, low + jnp.maximum(action + 1.0, 0.0), high - jnp.maximum(1.0 - action, 0.0))
        return jnp.where(above & below, between, jnp.where(above | below, one_sided, action))

    def to_features(self, action: Float[Array, "*n size"]) -> Float[Array, "*n size"]:
        """Returns an action as input of a network."""
        return action


@dataclasses.dataclass(frozen=True)
class Image:
    """Images of bits (bool) or bytes (uint8): rows, columns and channels."""

    shape: tuple[int, ...]
    dtype: str = "bool"

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(
                f"Image(shape={self.shape!r}) is out of range: it needs at least one row, column and channel."
            )
        if self.dtype not in MAX_VALUES:
            raise InputError(f"Image(dtype={self.dtype!r}) is unknown: it is one of {', '.join(MAX_VALUES)}.")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def max_value(self) -> int:
        """The value that a network's input shows as 1; 0 is the darkest."""
        return MAX_VALUES[self.dtype]


MAX_VALUES = {"bool": 1, "uint8": 255}


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of `n` actions, 0 … n - 1."""

    n: int
    components: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        _check_components("A choice", self.components, self.n)

    @property
    def size(self) -> int:
        return self.n

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each action; without components, its index."""
        return _named(self.components, self.n)

    def rescale(self, action: Int[Array, ""]) -> Int[Array, ""]:
        """Returns the action unchanged: discrete actions are in the env's units."""
        return action

    def to_features(self, action: Int[Array, "*n"]) -> Float[Array, "*n {self.n}"]:
        """Returns an action as input of a network: one-hot."""
        return jax.nn.one_hot(action, self.n)


def kind_of(space: "ObservationSpace | ActionSpace") -> str:
    """Returns the kind of a space in one word."""
    if isinstance(space, Image):
        return "images"
    return "numbers" if isinstance(space, Box) else "choices"


def compatible(a: "ObservationSpace | ActionSpace", b: "ObservationSpace | ActionSpace") -> bool:
    """Returns whether what was learned in one space fits the other as it is. Names count only if both have some."""
    if isinstance(a, Image) or isinstance(b, Image) or (a.components and b.components):
        return a == b
    return dataclasses.replace(a, components=()) == dataclasses.replace(b, components=())


ActionSpace = Box | Discrete  # of actions
ObservationSpace = Box | Image  # of observations

# One observation, or many. The type distinguishes images from vectors.
Observation = Float[Array, " observation"] | Bool[Array, "row column channel"] | UInt8[Array, "row column channel"]
Observations = (
    Float[Array, "*n observation"] | Bool[Array, "*n row column channel"] | UInt8[Array, "*n row column channel"]
)
