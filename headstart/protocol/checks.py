"""Checks arguments: numbers, budgets, seeds and spaces.

Each check raises InputError with one sentence that names the argument, its value, and how to correct it.
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.core.spaces import ActionSpace, Image, ObservationSpace, compatible, kind_of
from headstart.core.types import Env

MAX_STEPS = 10**12  # environment steps; a larger number is a mistake, and the loop cannot count it
MAX_EPISODES = 10**9  # int32 counts them
MAX_AT_ONCE = 10**6  # parallel episodes and evaluations, which are held in memory
MAX_SEED = 2**32 - 1  # of uint32


def check_number(name: str, value: Any) -> None:
    """Raises InputError if `value` is not a finite number."""
    number = isinstance(value, numbers.Real | np.number | np.bool_)
    if not number or not (isinstance(value, int) or math.isfinite(float(value))):
        raise InputError(f"{name} is {value!r}, which is not a finite number; give one.")


def check_budget(name: str, value: Any, least: int = 1, most: int = MAX_STEPS) -> None:
    """Raises InputError if `value` is not an integer from `least` to `most`."""
    check_number(name, value)
    if value > most:
        raise InputError(f"{name} is {_shorten(value)}, but the maximum is {most:.0e}; write a smaller number.")
    if value < least:
        raise InputError(f"{name} is {value}, but a budget is at least {least}; write {least} or more.")
    if value != int(value):
        raise InputError(f"{name} is {value}, but a budget is a whole number; write one.")


def check_shots(name: str, shots: Any) -> None:
    """Raises InputError if `shots` are not numbers of episodes."""
    for shot in _as_list(name, shots):
        check_number(name, shot)
        if not 0 <= shot <= MAX_EPISODES or shot != int(shot):
            text = _shorten(shot)
            raise InputError(
                f"{name} has {text}, which is not a number of episodes; write whole numbers, such as 0,1,10."
            )


def check_seeds(name: str, seeds: Any) -> None:
    """Raises InputError if `seeds` are not valid random seeds."""
    for seed in _as_list(name, seeds):
        check_number(name, seed)
        if not 0 <= seed <= MAX_SEED or seed != int(seed):
            text = _shorten(seed)
            raise InputError(f"{name} has {text}, but a seed is a whole number from 0 to {MAX_SEED}; write another.")


def _as_list(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {values!r}; give several numbers, such as (0, 1, 10).")
    return list(values)


def _shorten(number: Any) -> str:
    """Returns a number as short text."""
    return str(number) if abs(number) < MAX_STEPS else f"about 1e{len(str(int(number))) - 1}"


class BrokenEnvError(InputError):
    """A host environment failed; the message is its own."""


def check_env(env: Env) -> None:
    """Raises BrokenEnvError if a host env failed since the last call of its `pop_failures`."""
    for message in env.pop_failures().values():
        raise BrokenEnvError(f"{message}.")


def check_spaces(
    whose: str, known: tuple[ObservationSpace, ActionSpace], other: str, wanted: tuple[ObservationSpace, ActionSpace]
) -> None:
    """Raises InputError if two pairs of (observation, action) spaces are incompatible."""
    for what, a, b in zip(("observation", "action"), known, wanted, strict=True):
        if not compatible(a, b):
            raise InputError(
                f"{whose} and {other} have unequal {what} spaces ({_space_difference(a, b)}); choose tasks of one env, "
                "or copy components with equal names by headstart.transfer."
            )


def _space_difference(a: ObservationSpace | ActionSpace, b: ObservationSpace | ActionSpace) -> str:
    """Returns how two incompatible spaces differ."""
    if type(a) is not type(b) or isinstance(a, Image):
        return f"{_space_name(a)} and {_space_name(b)}"
    return (
        f"{a.size} and {b.size} components" if a.size != b.size else f"{a.size} components, otherwise bounded or named"
    )


def _space_name(space: ObservationSpace | ActionSpace) -> str:
    if isinstance(space, Image):
        return f"{' x '.join(map(str, space.shape))} {'bits' if space.dtype == 'bool' else 'bytes'}"
    return f"{space.size} {kind_of(space)}"
