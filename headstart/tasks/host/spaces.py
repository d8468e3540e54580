"""Gymnasium's observation spaces as ours: one row of float32, whatever they consist of.

A single image of bytes is transferred as a row too, and becomes an image again in `observe` (`images` detects images).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space as Theirs
from gymnasium import spaces
from jaxtyping import Array, Float

from headstart.core.errors import message
from headstart.core.spaces import Box, ObservationSpace
from headstart.tasks.host.images import ImageLayout, image_layout, is_bytes

MAX_ONE_HOT = 10_000  # numbers of a one-hot encoding
REMEDY = "wrap it by gymnasium.wrappers.TransformObservation, with a Box for its observations"

Read = Callable[[Any], np.ndarray]  # from a value of a space to a row; ValueError if it is none


class SpaceError(ValueError):
    """A space that is not supported. The message continues after the env's name."""


class Part(NamedTuple):
    """One component of the observation, and its place in the row."""

    name: str  # such as desired_goal; empty if it is the only one
    start: int
    stop: int


class ObservationReader:
    """Converts an env's observations: dicts and tuples are flattened in order, and text is dropped beside numbers."""

    def __init__(self, space: Theirs):
        self._reads: list[tuple[str, tuple[Any, ...], Read]] = []
        lows, highs, parts, start = [], [], [], 0
        all_leaves = list(leaves(space))
        read_as_numbers = [x for x in all_leaves if not _is_text(x[-1])] or all_leaves
        for name, path, leaf in read_as_numbers:
            low, high, read = _component(leaf, name)
            self._reads.append((name, path, read))
            parts.append(Part(name, start, start + low.size))
            lows, highs, start = [*lows, low], [*highs, high], start + low.size
        if not start:
            raise SpaceError(f"has empty observations; {REMEDY}")
        low, high = (np.concatenate(x).astype(np.float32) for x in (lows, highs))
        self.parts = tuple(parts)
        self._picture: ImageLayout | None = image_layout(space)
        if self._picture is None:
            self.space: ObservationSpace = Box(tuple(low.tolist()), tuple(high.tolist()))
            self.assumptions = tuple(_assumptions(all_leaves))
        else:
            self.space, self.assumptions = self._picture.image, (self._picture.assumption,)

    def to_observation(self, row: Float[Array, " n"]) -> Array:
        """Returns the observation for a policy: the row, or the image that it holds, channels last."""
        return row if self._picture is None else self._picture.to_image(row)

    def row(self, observation: Any) -> np.ndarray:
        """Returns an observation as float32. Raises ValueError, naming the component, if it is not of its space."""
        rows = []
        for name, path, read in self._reads:
            value = observation
            try:
                for step in path:
                    value = value[step]
                row = read(value)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise ValueError(f"its observation{' ' + name if name else ''} {_describe(error)}") from None
            rows.append(row)
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def check(self, row: np.ndarray) -> None:
        """Raises ValueError, naming the component, if a row is not finite."""
        for name, start, stop in self.parts:
            if not np.isfinite(row[start:stop]).all():
                raise ValueError(f"its observation{' ' + name if name else ''} is not finite")


def leaves(space: Theirs, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...], Theirs]]:
    """Yields (name, path, space) of all spaces that do not contain others."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in inner:
            yield from leaves(part, (*path, key))
    else:
        yield ".".join(map(str, path)), path, space


def _is_text(space: Theirs) -> bool:
    """Returns whether its values are strings; some packages do not use `spaces.Text`."""
    return space.dtype is not None and space.dtype.kind == "U"


def _component(space: Theirs, name: str) -> tuple[np.ndarray, np.ndarray, Read]:
    """Returns the lowest and highest row, and how a row is read."""
    if isinstance(space, spaces.Box):
        return _numbers(space)
    if isinstance(space, spaces.MultiBinary):
        return _numbers(spaces.Box(0, 1, space.shape, np.int8))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _choices(space, name)
    raise SpaceError(f"has {name or 'observations'} of a kind that is not supported: {space}; {REMEDY}")


def _numbers(space: spaces.Box) -> tuple[np.ndarray, np.ndarray, Read]:
    """Reads numbers of any shape, in the env's units."""

    def read(value: Any) -> np.ndarray:
        x = np.asarray(value)
        if x.shape != space.shape:
            raise ValueError(f"has shape {x.shape} instead of its space's {space.shape}")
        return x.astype(np.float32).reshape(-1)

    return _flat([space.low]), _flat([space.high]), read


def _assumptions(all_leaves: list[tuple[str, tuple[Any, ...], Theirs]]) -> Iterator[str]:
    """Yields the assumptions about an observation that is read as numbers."""
    if text := [name or "it" for name, _, leaf in all_leaves if _is_text(leaf)]:
        yield f"Text in its observation is ignored: {', '.join(text)}."
    for name, _, leaf in all_leaves:
        if isinstance(leaf, spaces.Box) and len(leaf.shape) > 1:
            what = f"Its observation {name}".rstrip()
            size, shape = int(np.prod(leaf.shape)), " x ".join(map(str, leaf.shape))
            reason = (
                "an image among other parts" if is_bytes(leaf) and name else "no image, which is uint8 from 0 to 255"
            )
            yield f"{what}, an array of {shape} ({leaf.dtype}), is read as a row of {size} numbers: it is {reason}."
    if len(all_leaves) > 1:
        names = ", ".join(name for name, _, leaf in all_leaves if not _is_text(leaf))
        yield f"The parts of its observation are concatenated: {names}."


def _choices(space: spaces.Discrete | spaces.MultiDiscrete, name: str) -> tuple[np.ndarray, np.ndarray, Read]:
    """Reads each choice as one-hot numbers."""
    shape = () if isinstance(space, spaces.Discrete) else space.nvec.shape
    sizes = np.asarray(space.n if isinstance(space, spaces.Discrete) else space.nvec).reshape(-1)
    starts, total = np.asarray(space.start).reshape(-1), int(sizes.sum())
    if total > MAX_ONE_HOT:
        raise SpaceError(f"has {name or 'observations'} of {total} choices; {MAX_ONE_HOT} is the maximum; {REMEDY}")
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def read(value: Any) -> np.ndarray:
        x = np.asarray(value)
        if x.shape != shape:
            raise ValueError(f"has shape {x.shape} instead of its space's {shape}")
        start = x.reshape(-1) - starts
        if not np.all((start >= 0) & (start < sizes)):
            raise ValueError(f"is {value}, which is not in {space}")
        row = np.zeros(total, np.float32)
        row[(offsets + start).astype(np.int64)] = 1.0
        return row

    return np.zeros(total), np.ones(total), read


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(x, np.float32).reshape(-1) for x in arrays])


def _describe(error: Exception) -> str:
    text = message(error)
    return text if type(error) is ValueError else f"is not of its space ({type(error).__name__}: {text})"
