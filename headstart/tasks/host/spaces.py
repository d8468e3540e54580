"""Gymnasium's spaces as ours, and what passes between the two: observations as one row of float32, actions back.

A single image of bytes travels as a row too, and is an image again where a policy sees it.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from gymnasium import Space as Theirs
from gymnasium import spaces
from jaxtyping import Array, Float

from headstart.core.spaces import Box, Discrete, Image, Sight, Space

MOST_CHOICES = 1024  # that several choices at once may come to
MOST_SEEN = 10_000  # choices that are seen as so many zeros and a one

Read = Callable[[Any], np.ndarray]  # from a value of a space to a row; ValueError where it is none
Give = Callable[[np.ndarray], Any]  # from our actions [row ...] to one of theirs for each row


class SpaceError(ValueError):
    """A space for which there is no way; the sentence goes on after the env's name."""


class Part(NamedTuple):
    """One component of what is seen, and where it is in the row."""

    name: str  # such as desired_goal; empty where there is but one
    start: int
    stop: int


class Seen:
    """What an env shows: dicts and tuples flattened in the order of their space, and text left out beside numbers."""

    def __init__(self, space: Theirs):
        self._reads: list[tuple[str, tuple[Any, ...], Read]] = []
        lows, highs, parts, at = [], [], [], 0
        leaves = list(_leaves(space))
        for name, path, leaf in [x for x in leaves if not _is_text(x[-1])] or leaves:
            low, high, read = _component(leaf, name)
            self._reads.append((name, path, read))
            parts.append(Part(name, at, at + low.size))
            lows, highs, at = [*lows, low], [*highs, high], at + low.size
        if not at:
            raise SpaceError("shows nothing at all")
        low, high = (np.concatenate(x).astype(np.float32) for x in (lows, highs))
        self.parts = tuple(parts)
        self._shape = _image(space)
        if self._shape is None:
            self.sight: Sight = Box(tuple(low.tolist()), tuple(high.tolist()))
        else:
            self.sight = Image(tuple(np.moveaxis(np.empty(self._shape), _channel(self._shape), -1).shape), "uint8")

    def show(self, row: Float[Array, " n"]) -> Array:
        """-> what a policy sees: the row, or the image that it was made of, channels last."""
        if self._shape is None:
            return row
        return jnp.moveaxis(row.reshape(self._shape).astype(jnp.uint8), _channel(self._shape), -1)

    def row(self, observation: Any) -> np.ndarray:
        """-> the observation as float32. Raises ValueError, naming the component, where it is not of its space."""
        rows = []
        for name, path, read in self._reads:
            value = observation
            try:
                for step in path:
                    value = value[step]
                row = read(value)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise ValueError(f"its observation{' ' + name if name else ''} {_said(error)}") from None
            rows.append(row)
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def check(self, row: np.ndarray) -> None:
        """Raises ValueError, naming the component, where a row holds what is no finite number."""
        for name, start, stop in self.parts:
            if not np.isfinite(row[start:stop]).all():
                raise ValueError(f"its observation{' ' + name if name else ''} is not finite")


def action(space: Theirs) -> tuple[Space, Give]:
    """-> our space for their actions, and the way back. Raises SpaceError where there is none."""
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return Discrete(int(space.n)), lambda rows: (rows + start).tolist()
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        sizes = np.asarray(space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape, 2))
        n = int(np.prod(sizes.astype(np.float64)))
        if n > MOST_CHOICES:
            raise SpaceError(f"has {n} combinations of choices as actions; {MOST_CHOICES} is the most")
        start = np.asarray(getattr(space, "start", 0)).reshape(-1)

        def combined(rows: np.ndarray) -> np.ndarray:
            picked = np.stack(np.unravel_index(rows, sizes.reshape(-1)), -1) + start
            return picked.reshape(-1, *sizes.shape).astype(space.dtype or np.int64)

        return Discrete(n), combined
    boxes = [leaf for _, _, leaf in _leaves(space)]
    if not boxes or not all(isinstance(leaf, spaces.Box) for leaf in boxes):
        raise SpaceError(f"has actions of a kind that nothing here can choose: {space}")
    low, high = (_flat([getattr(box, end) for box in boxes]) for end in ("low", "high"))
    whole, shape = not isinstance(space, spaces.Box), boxes[0].shape or ()

    def numbers(rows: np.ndarray) -> Any:
        inside = np.minimum(np.maximum(rows, low), high)  # bounds on one side only are not kept by `Box.rescale`
        if whole:
            return [spaces.unflatten(space, row) for row in inside]
        inside = inside.reshape(-1, *shape)
        return (np.rint(inside) if np.issubdtype(space.dtype, np.integer) else inside).astype(space.dtype)

    return Box(tuple(low.tolist()), tuple(high.tolist())), numbers


def _leaves(space: Theirs, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...], Theirs]]:
    """-> (name, where it is, space) of all that is not made of others."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in inner:
            yield from _leaves(part, (*path, key))
    else:
        yield ".".join(map(str, path)), path, space


def _is_text(space: Theirs) -> bool:
    """-> whether its values are strings; not every package makes them a `spaces.Text`."""
    return space.dtype is not None and space.dtype.kind == "U"


def _component(space: Theirs, name: str) -> tuple[np.ndarray, np.ndarray, Read]:
    """-> lowest and highest row, and how a row is read."""
    if isinstance(space, spaces.Box):
        return _numbers(space)
    if isinstance(space, spaces.MultiBinary):
        return _numbers(spaces.Box(0, 1, space.shape, np.int8))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _choices(space, name)
    raise SpaceError(f"shows {name or 'something'} of a kind that is no row of numbers: {space}")


def _numbers(space: spaces.Box) -> tuple[np.ndarray, np.ndarray, Read]:
    """Numbers of any shape, in the env's own units."""

    def read(value: Any) -> np.ndarray:
        x = np.asarray(value)
        if x.shape != space.shape:
            raise ValueError(f"has shape {x.shape}, where its space says {space.shape}")
        return x.astype(np.float32).reshape(-1)

    return _flat([space.low]), _flat([space.high]), read


def _image(space: Theirs) -> tuple[int, ...] | None:
    """-> the shape of an image, with an axis for its channels; None where the space is no single image of bytes."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return None
    return space.shape if len(space.shape) == 3 else (*space.shape, 1)


def _channel(shape: tuple[int, ...]) -> int:
    """-> the axis of the channels: the last, unless the first is shorter, as in stacks of frames."""
    return 0 if shape[0] < shape[-1] else -1


def _choices(space: spaces.Discrete | spaces.MultiDiscrete, name: str) -> tuple[np.ndarray, np.ndarray, Read]:
    """A choice is seen as zeros and a one."""
    shape = () if isinstance(space, spaces.Discrete) else space.nvec.shape
    sizes = np.asarray(space.n if isinstance(space, spaces.Discrete) else space.nvec).reshape(-1)
    starts, total = np.asarray(space.start).reshape(-1), int(sizes.sum())
    if total > MOST_SEEN:
        raise SpaceError(f"shows {name or 'one'} of {total} choices; {MOST_SEEN} is the most")
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def read(value: Any) -> np.ndarray:
        x = np.asarray(value)
        if x.shape != shape:
            raise ValueError(f"has shape {x.shape}, where its space says {shape}")
        at = x.reshape(-1) - starts
        if not np.all((at >= 0) & (at < sizes)):
            raise ValueError(f"is {value}, which is none of the choices of {space}")
        row = np.zeros(total, np.float32)
        row[(first + at).astype(np.int64)] = 1.0
        return row

    return np.zeros(total), np.ones(total), read


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(x, np.float32).reshape(-1) for x in arrays])


def _said(error: Exception) -> str:
    return str(error) if type(error) is ValueError else f"is not of its space ({type(error).__name__}: {error})"
