"""What can be asked for at all: budgets that can be spent, seeds that there are, spaces that knowledge can cross.

Each check raises InputError with one sentence that names what was asked for, where it was asked, and the mend.
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.core.spaces import ActionSpace, Image, ObservationSpace, compatible, kind_of
from headstart.core.types import Env

MOST = 10**12  # steps: what lies above is a slip, and more than turns of a loop can be counted
MOST_EPISODES = 10**9  # they are counted by int32
AT_ONCE = 10**6  # episodes that are played side by side, and points of a curve, which are held in memory
LAST_SEED = 2**32 - 1  # seeds are uint32


def check_number(name: str, value: Any) -> None:
    """Raises InputError where `value` is no finite number."""
    number = isinstance(value, numbers.Real | np.number | np.bool_)
    if not number or not (isinstance(value, int) or math.isfinite(float(value))):
        raise InputError(f"{name} is {value!r}, which is no finite number; give one.")


def check_budget(name: str, value: Any, least: int = 1, most: int = MOST) -> None:
    """Raises InputError where `value` is no whole number from `least` to `most`."""
    check_number(name, value)
    if value > most:
        raise InputError(f"{name} is {_short(value)}, but at most {most:.0e} can be counted; write a smaller number.")
    if value < least:
        raise InputError(f"{name} is {value}, but a budget is at least {least}; write {least} or more.")
    if value != int(value):
        raise InputError(f"{name} is {value}, but a budget is a whole number; write one.")


def check_shots(name: str, shots: Any) -> None:
    """Raises InputError where these are not numbers of episodes."""
    for shot in _several(name, shots):
        check_number(name, shot)
        if not 0 <= shot <= MOST_EPISODES or shot != int(shot):
            told = _short(shot)
            raise InputError(f"{name} has {told}, which is no number of episodes; write whole ones, such as 0,1,10.")


def check_seeds(name: str, seeds: Any) -> None:
    """Raises InputError where these are no seeds that a random generator takes."""
    for seed in _several(name, seeds):
        check_number(name, seed)
        if not 0 <= seed <= LAST_SEED or seed != int(seed):
            told = _short(seed)
            raise InputError(f"{name} has {told}, but a seed is a whole number from 0 to {LAST_SEED}; write another.")


def _several(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {values!r}; give several numbers, such as (0, 1, 10).")
    return list(values)


def _short(number: Any) -> str:
    """Returns a number in few characters, however large it is."""
    return str(number) if abs(number) < MOST else f"about 1e{len(str(int(number))) - 1}"


class BrokenEnvError(InputError):
    """An environment of somebody else's broke; the message is its own."""


def check_env(env: Env) -> None:
    """Raises BrokenEnvError where an env of somebody else's broke since its `pop_failures` was called."""
    for message in env.pop_failures().values():
        raise BrokenEnvError(f"{message}.")


def check_spaces(
    whose: str, known: tuple[ObservationSpace, ActionSpace], other: str, wanted: tuple[ObservationSpace, ActionSpace]
) -> None:
    """Raises InputError where (observation, action) of what is known are not those of where it is wanted."""
    for what, a, b in zip(("observation", "action"), known, wanted, strict=True):
        if not compatible(a, b):
            raise InputError(
                f"{whose} and {other} have unequal {what} spaces ({_told(a, b)}); choose tasks of one env, or take "
                "what has the same name along by headstart.transfer."
            )


def _told(a: ObservationSpace | ActionSpace, b: ObservationSpace | ActionSpace) -> str:
    """-> in what two unequal spaces differ."""
    if type(a) is not type(b) or isinstance(a, Image):
        return f"{_kind(a)} and {_kind(b)}"
    return (
        f"{a.size} and {b.size} components" if a.size != b.size else f"{a.size} components, otherwise bounded or named"
    )


def _kind(space: ObservationSpace | ActionSpace) -> str:
    if isinstance(space, Image):
        return f"{' x '.join(map(str, space.shape))} {'bits' if space.dtype == 'bool' else 'bytes'}"
    return f"{space.size} {kind_of(space)}"
