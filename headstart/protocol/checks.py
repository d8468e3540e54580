"""What can be asked for at all: budgets that can be spent, seeds that there are, spaces that knowledge can cross.

Each check raises InputError with one sentence that names what was asked for, where it was asked, and the mend.
"""

from collections.abc import Collection, Iterable

from headstart.core.errors import InputError
from headstart.core.spaces import Image, Sight, Space, alike, kind
from headstart.core.types import Env
from headstart.tasks.host import failures

MOST = 10**12  # steps, points or episodes: what lies above is a slip, and more than turns of a loop can be counted
LAST_SEED = 2**32 - 1  # seeds are uint32


def check_budget(name: str, value: float, least: int = 1) -> None:
    """Raises InputError where `value` is no whole number from `least` to a million millions."""
    if not value <= MOST:
        raise InputError(f"{name} is {value:.3g}, but nobody can count beyond {MOST:.0e}; write a smaller number.")
    if value < least:
        raise InputError(f"{name} is {value}, but a budget is at least {least}; write {least} or more.")
    if value != int(value):
        raise InputError(f"{name} is {value}, but a budget is a whole number; write one.")


def check_shots(name: str, shots: Collection[float]) -> None:
    """Raises InputError where a number of episodes is none."""
    for shot in shots:
        if not 0 <= shot <= MOST or shot != int(shot):
            raise InputError(f"{name} has {shot}, which is no number of episodes; write whole ones, such as 0,1,10.")


def check_seeds(name: str, seeds: Iterable[float]) -> None:
    """Raises InputError where a seed is none that a random generator takes."""
    for seed in seeds:
        if not 0 <= seed <= LAST_SEED or seed != int(seed):
            raise InputError(f"{name} has {seed}, but a seed is a whole number from 0 to {LAST_SEED}; write another.")


class BrokenEnvError(InputError):
    """An environment of somebody else's broke; the message is its own."""


def check_env(env: Env) -> None:
    """Raises BrokenEnvError where an env of somebody else's broke since `failures` was asked."""
    for message in failures(env).values():
        raise BrokenEnvError(f"{message}.")


def check_spaces(whose: str, known: tuple[Sight, Space], other: str, wanted: tuple[Sight, Space]) -> None:
    """Raises InputError where (observation, action) of what is known are not those of where it is wanted."""
    for what, a, b in zip(("observation", "action"), known, wanted, strict=True):
        if not alike(a, b):
            raise InputError(
                f"{whose} and {other} have unequal {what} spaces ({_told(a, b)}); choose tasks of one env, or take "
                "what has the same name along by headstart.transfer."
            )


def _told(a: Sight | Space, b: Sight | Space) -> str:
    """-> in what two unequal spaces differ."""
    if type(a) is not type(b) or isinstance(a, Image):
        return f"{_kind(a)} and {_kind(b)}"
    return (
        f"{a.size} and {b.size} components" if a.size != b.size else f"{a.size} components, otherwise bounded or named"
    )


def _kind(space: Sight | Space) -> str:
    if isinstance(space, Image):
        return f"{' x '.join(map(str, space.shape))} {'bits' if space.dtype == 'bool' else 'bytes'}"
    return f"{space.size} {kind(space)}"
