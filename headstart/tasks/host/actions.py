"""Gymnasium's action spaces as headstart's, and conversion of actions to theirs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space as Theirs
from gymnasium import spaces

from headstart.core.spaces import UNBOUNDED, ActionSpace, Box, Discrete
from headstart.tasks.host.spaces import SpaceError, leaves

MAX_CHOICES = 1024  # maximum of combinations of several choices
REMEDY = "wrap it by gymnasium.wrappers.TransformAction, with one Box or Discrete for its actions"

Convert = Callable[[np.ndarray], Any]  # from our actions [row ...] to one of theirs per row


class Actions(NamedTuple):
    """An action space of ours, the conversion to theirs, and the assumptions made, one sentence each."""

    space: ActionSpace
    to_theirs: Convert
    assumptions: tuple[str, ...]


def actions(space: Theirs) -> Actions:
    """Returns our space for theirs, and the conversion of actions. Raises SpaceError if there is none."""
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        assumptions = (f"Its actions are numbered from {start}; action 0 is its action {start}.",) if start else ()
        return Actions(Discrete(int(space.n)), lambda rows: (rows + start).tolist(), assumptions)
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        return _combinations(space)
    boxes = [(name, leaf) for name, _, leaf in leaves(space) if isinstance(leaf, spaces.Box)]
    if not boxes or len(boxes) < sum(1 for _ in leaves(space)):
        raise SpaceError(f"has actions of a kind that is not supported: {space}; {REMEDY}")
    return _numbers(space, [leaf for _, leaf in boxes])


def _combinations(space: spaces.MultiDiscrete | spaces.MultiBinary) -> Actions:
    """Converts several choices at once to one choice among all combinations; the last one changes fastest."""
    sizes = np.asarray(space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(space.shape, 2))
    n = int(np.prod(sizes.astype(np.float64)))
    if n > MAX_CHOICES:
        raise SpaceError(f"has {n} combinations of choices as actions; {MAX_CHOICES} is the maximum; {REMEDY}")
    start = np.asarray(getattr(space, "start", 0)).reshape(-1)

    def to_choices(rows: np.ndarray) -> np.ndarray:
        choices = np.stack(np.unravel_index(rows, sizes.reshape(-1)), -1) + start
        return choices.reshape(-1, *sizes.shape).astype(space.dtype or np.int64)

    sizes_text = " x ".join(map(str, sizes.reshape(-1).tolist()))
    return Actions(Discrete(n), to_choices, (f"Its {sizes_text} choices at once are one of {n} actions.",))


def _numbers(space: Theirs, boxes: list[spaces.Box]) -> Actions:
    """Converts real numbers, of one box or of several in a dict or tuple."""
    bounds = [np.concatenate([getattr(box, end).reshape(-1) for box in boxes]) for end in ("low", "high")]
    low, high = (end.astype(np.float64) for end in bounds)
    integer = np.concatenate([np.full(int(np.prod(box.shape)), np.issubdtype(box.dtype, np.integer)) for box in boxes])
    if not low.size:
        raise SpaceError(f"has actions of no numbers at all: {space}; {REMEDY}")
    if not (low <= high).all():
        raise SpaceError(f"has actions whose low is not below their high: {space}; {REMEDY}")
    shape = boxes[0].shape or ()

    def convert(rows: np.ndarray) -> Any:
        # Float32 numbers may lie outside of their bounds.
        clipped = np.clip(np.where(integer, np.rint(rows), rows), low, high)
        if not isinstance(space, spaces.Box):
            return [spaces.unflatten(space, row) for row in clipped]
        return clipped.reshape(-1, *shape).astype(space.dtype)

    box = Box(_without_limits(low, boxes), _without_limits(high, boxes))
    return Actions(box, convert, tuple(_assumptions(box, integer)))


def _without_limits(bounds: np.ndarray, boxes: list[spaces.Box]) -> tuple[float, ...]:
    """Returns bounds, infinite if they are so large, or the largest of their dtype, that they mean none."""
    limits = [np.finfo(str(box.dtype)).max if np.issubdtype(box.dtype, np.floating) else np.inf for box in boxes]
    largest = np.concatenate([np.full(int(np.prod(b.shape)), float(x)) for b, x in zip(boxes, limits, strict=True)])
    is_unbounded = np.abs(bounds) >= np.minimum(largest, UNBOUNDED)
    return tuple(np.where(is_unbounded, np.copysign(np.inf, bounds), bounds).astype(np.float32).tolist())


def _assumptions(box: Box, integer: np.ndarray) -> list[str]:
    """Returns the assumptions about such actions."""
    bounds = list(zip(box.names, box.low, box.high, strict=True))
    sides = {
        "no bounds": ([n for n, low, high in bounds if np.isinf(low) and np.isinf(high)], "are taken as they are"),
        "no upper bound": ([n for n, low, high in bounds if np.isfinite(low) and np.isinf(high)], "begin there at -1"),
        "no lower bound": ([n for n, low, high in bounds if np.isinf(low) and np.isfinite(high)], "end there at 1"),
    }
    assumptions = [
        f"Actions {', '.join(n)} have {side}: a policy's {reading}." for side, (n, reading) in sides.items() if n
    ]
    if box.unbounded:
        assumptions.append(
            "PPO learns actions without bounds, beginning with a standard deviation of 1; SAC refuses them."
        )
    if integer.any():
        names = [name for name, is_whole in zip(box.names, integer, strict=True) if is_whole]
        assumptions.append(f"Actions {', '.join(names)} are whole numbers: a policy's are rounded.")
    return assumptions
