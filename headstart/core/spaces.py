"""What can be seen: vectors of real numbers, or images. What can be done: such vectors, or one of some choices."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from headstart.core.errors import InputError

BOUNDLESS = 1e9  # bounds from here on (1e30, the largest float32, the largest int32) say that there is none


class Component(NamedTuple):
    """One number of a vector, or one choice: by its name, knowledge finds it again in another space."""

    name: str
    unit: str = ""  # such as m/s; "" where it has none, or nobody says


def components(*said: str) -> tuple[Component, ...]:
    """Returns components of "name unit", such as "cart_velocity m/s"; a name alone has no unit."""
    return tuple(Component(name, unit) for name, _, unit in (text.partition(" ") for text in said))


def _named(given: tuple[Component, ...], size: int) -> tuple[str, ...]:
    """Returns names of the components; their places, where nobody gave them any."""
    return tuple(c.name for c in given) if given else tuple(map(str, range(size)))


def _check_components(owner: str, given: tuple[Component, ...], size: int) -> None:
    if given and (len(given) != size or len({c.name for c in given}) != size):
        raise InputError(
            f"{owner} has {size} components, and {len(given)} names for them ({', '.join(c.name for c in given)}); "
            "give each a name of its own, or none any."
        )


@dataclasses.dataclass(frozen=True)
class Box:
    """Vectors of real numbers, each within its bounds (which may be infinite).

    `components` say what each number is; () where nobody says. Where they are no more than names, `words` are the
    lengths of these: a word of n numbers has a 1 in one of n places, and a word of 1 is a bit. Then each vector has an
    index among so many `states`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    one_hot_groups: tuple[int, ...] = ()
    components: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        _check_components("A box", self.components, len(self.low))
        if self.one_hot_groups and sum(self.one_hot_groups) != len(self.low):
            raise InputError(
                f"Box(words={self.one_hot_groups!r}) is out of range: together they are {len(self.low)} long."
            )

    @property
    def size(self) -> int:
        return len(self.low)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number is called: its place, where nobody says."""
        return _named(self.components, self.size)

    @property
    def num_states(self) -> int | None:
        """How many different vectors there are; None where they are no names."""
        return math.prod(max(word, 2) for word in self.one_hot_groups) if self.one_hot_groups else None

    def index(self, x: Float[Array, "*n size"]) -> Int[Array, "*n"]:
        """Returns which of the states a vector names."""
        values, above = [], 1  # what each of its numbers is worth, where it is 1
        for word in reversed(self.one_hot_groups):
            values = [above * i for i in (range(word) if word > 1 else (1,))] + values
            above *= max(word, 2)
        return (x > 0.5).astype(jnp.int32) @ jnp.array(values, jnp.int32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Returns the names of the components that have no bound on one side, or on either."""
        ends = zip(self.names, self.low, self.high, strict=True)
        return tuple(name for name, low, high in ends if not (abs(low) < BOUNDLESS and abs(high) < BOUNDLESS))

    def rescale(self, action: Float[Array, " n"]) -> Float[Array, " n"]:
        """Converts a policy's action to the world's own units.

        Where a component has both bounds, -1 is `low` and 1 is `high`, and the action is clipped to them. Where it has
        one, the action is moved so that -1 is `low` (or 1 is `high`), and clipped there; a unit remains a unit. Where
        it has none, the action passes as it is.
        """
        ends = np.array(self.low, np.float32), np.array(self.high, np.float32)
        above, below = (np.abs(end) < BOUNDLESS for end in ends)  # which bounds there are
        low = jnp.array(np.where(above, ends[0], np.float32(-1.0)))
        high = jnp.array(np.where(below, ends[1], np.float32(1.0)))
        between = low + (jnp.clip(action, -1.0, 1.0) + 1.0) * 0.5 * (high - low)
        if (above & below).all():
            return between
        one_sided = jnp.where(above, low + jnp.maximum(action + 1.0, 0.0), high - jnp.maximum(1.0 - action, 0.0))
        return jnp.where(above & below, between, jnp.where(above | below, one_sided, action))

    def to_features(self, action: Float[Array, "*n size"]) -> Float[Array, "*n size"]:
        """Returns what a network is told of an action."""
        return action


@dataclasses.dataclass(frozen=True)
class Image:
    """Rows, columns and channels of bits (bool) or of bytes (uint8): what an env shows, and memory keeps, as it is."""

    shape: tuple[int, ...]
    dtype: str = "bool"

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(
                f"Image(shape={self.shape!r}) is out of range: it is at least one row, column and channel."
            )
        if self.dtype not in MAX_VALUES:
            raise InputError(f"Image(dtype={self.dtype!r}) is unknown: it is one of {', '.join(MAX_VALUES)}.")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def max_value(self) -> int:
        """What 1 is once a network sees it; the darkest is 0."""
        return MAX_VALUES[self.dtype]


MAX_VALUES = {"bool": 1, "uint8": 255}


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of `n` choices, 0 … n - 1."""

    n: int
    components: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        _check_components("A choice", self.components, self.n)

    @property
    def size(self) -> int:
        return self.n

    @property
    def names(self) -> tuple[str, ...]:
        """What each choice is called: its number, where nobody says."""
        return _named(self.components, self.n)

    def rescale(self, action: Int[Array, ""]) -> Int[Array, ""]:
        """Choices are the world's own already."""
        return action

    def to_features(self, action: Int[Array, "*n"]) -> Float[Array, "*n {self.n}"]:
        """Returns what a network is told of an action: 1 in its place."""
        return jax.nn.one_hot(action, self.n)


def kind_of(space: "ObservationSpace | ActionSpace") -> str:
    """Returns what a space is made of, in a word."""
    if isinstance(space, Image):
        return "images"
    return "numbers" if isinstance(space, Box) else "choices"


def compatible(a: "ObservationSpace | ActionSpace", b: "ObservationSpace | ActionSpace") -> bool:
    """Returns whether what is known in one can be used in the other as it is: names count only where both have some."""
    if isinstance(a, Image) or isinstance(b, Image) or (a.components and b.components):
        return a == b
    return dataclasses.replace(a, components=()) == dataclasses.replace(b, components=())


ActionSpace = Box | Discrete  # of actions
ObservationSpace = Box | Image  # of observations

# An observation, or many. Images are told from vectors by their type.
Observation = Float[Array, " observation"] | Bool[Array, "row column channel"] | UInt8[Array, "row column channel"]
Observations = (
    Float[Array, "*n observation"] | Bool[Array, "*n row column channel"] | UInt8[Array, "*n row column channel"]
)
