"""How the command line reads its values: numbers as people write them (`2e5`), lists with commas.

A value that cannot be read is an UnreadableError, which is no ValueError on purpose: tyro lets it pass, and the command
line says the one sentence, instead of a box around it.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

MOST_SEEDS = 10_000  # more than that was meant to be something else


class UnreadableError(Exception):
    """What was written is no value of that kind; the sentence names the mend."""


def whole(text: str, example: str = "such as 200000 or 2e5") -> int:
    """-> a whole number. Raises UnreadableError."""
    number = real(text, example)
    if number != int(number):
        raise UnreadableError(f"{text!r} is no whole number; write one, {example}.")
    return int(number)


def real(text: str, example: str = "such as 3000 or 2.5e3") -> float:
    """-> a finite number. Raises UnreadableError."""
    try:
        number = float(text)
    except ValueError:
        raise UnreadableError(f"{text!r} is no number; write one, {example}.") from None
    if not math.isfinite(number):
        raise UnreadableError(f"{text!r} is no finite number; write one, {example}.")
    return number


def small(text: str) -> int:
    """-> a whole number, of something that is counted in tens. Raises UnreadableError."""
    return whole(text, "such as 0 or 12")


def wholes(text: str) -> tuple[int, ...]:
    """-> whole numbers with commas between them. Raises UnreadableError."""
    return tuple(whole(part, "several with commas between them, such as 0,1,10") for part in names(text))


def seeds(text: str) -> tuple[int, ...]:
    """-> which seeds, each once, where there is a comma; else the first so many. Raises UnreadableError."""
    if "," in text:
        return tuple(dict.fromkeys(wholes(text)))
    count = whole(text, "how many seeds, such as 5, or which, such as 0,1,2")
    if not 0 < count <= MOST_SEEDS:
        raise UnreadableError(f"{text} is no number of seeds; write one from 1 to {MOST_SEEDS}, such as 5.")
    return tuple(range(count))


def names(text: str) -> tuple[str, ...]:
    """-> words with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _commas(x: tuple[Any, ...]) -> str:
    return ",".join(map(str, x))


def _kind(metavar: str, read: Callable[[str], Any], show: Callable[[Any], str], kind: type) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda x: isinstance(x, kind),
        str_from_instance=lambda x: [show(x)],
    )


Steps = Annotated[int, _kind("STEPS", whole, str, int)]
Count = Annotated[int, _kind("N", small, str, int)]
Number = Annotated[float, _kind("X", real, str, float)]
Numbers = Annotated[tuple[int, ...], _kind("N,N,...", wholes, _commas, tuple)]
Seeds = Annotated[tuple[int, ...], _kind("N | S,S,...", seeds, _commas, tuple)]
Names = Annotated[tuple[str, ...], _kind("NAME,NAME,...", names, _commas, tuple)]
Physics = Annotated[str, arg(help="MuJoCo's backend: c, mjx, or auto (mjx where JAX runs on a GPU).")]
Json = Annotated[bool, arg(help="Print JSON instead of the table.")]
StepTimeout = Annotated[
    Number | None,
    arg(help="Seconds that one call of somebody else's environment may take; one that takes longer has failed."),
]
