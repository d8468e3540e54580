"""Parses the values of the command line: numbers such as `2e5`, and lists with commas.

A value that cannot be read raises ArgumentError. It is not a ValueError, which tyro would print in a box: tyro lets it
pass, and the command line prints its sentence.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

MAX_SEEDS = 10_000  # a larger number is a mistake


class ArgumentError(Exception):
    """An argument is invalid; the message says how to correct it."""


def parse_int(text: str, example: str = "such as 200000 or 2e5") -> int:
    """Returns a whole number. Raises ArgumentError."""
    number = parse_float(text, example)
    if number != int(number):
        raise ArgumentError(f"{text!r} is not a whole number; write one, {example}.")
    return int(number)


def parse_float(text: str, example: str = "such as 3000 or 2.5e3") -> float:
    """Returns a finite number. Raises ArgumentError."""
    try:
        number = float(text)
    except ValueError:
        raise ArgumentError(f"{text!r} is not a number; write one, {example}.") from None
    if not math.isfinite(number):
        raise ArgumentError(f"{text!r} is not a finite number; write one, {example}.")
    return number


def parse_count(text: str) -> int:
    """Returns a small integer. Raises ArgumentError."""
    return parse_int(text, "such as 0 or 12")


def parse_ints(text: str) -> tuple[int, ...]:
    """Returns integers that are separated by commas. Raises ArgumentError."""
    return tuple(parse_int(part, "several with commas between them, such as 0,1,10") for part in parse_names(text))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Returns the listed seeds if there is a comma, else the first N seeds. Raises ArgumentError."""
    if "," in text:
        return tuple(dict.fromkeys(parse_ints(text)))
    count = parse_int(text, "how many seeds, such as 5, or which, such as 0,1,2")
    if not 0 < count <= MAX_SEEDS:
        raise ArgumentError(f"{text} is not a number of seeds; write one from 1 to {MAX_SEEDS}, such as 5.")
    return tuple(range(count))


def parse_names(text: str) -> tuple[str, ...]:
    """Returns strings that are separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _join(x: tuple[Any, ...]) -> str:
    return ",".join(map(str, x))


def _constructor(
    metavar: str, read: Callable[[str], Any], show: Callable[[Any], str], kind: type
) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda strings: read(strings[0]),
        is_instance=lambda x: isinstance(x, kind),
        str_from_instance=lambda x: [show(x)],
    )


Steps = Annotated[int, _constructor("STEPS", parse_int, str, int)]
Count = Annotated[int, _constructor("N", parse_count, str, int)]
Number = Annotated[float, _constructor("X", parse_float, str, float)]
Numbers = Annotated[tuple[int, ...], _constructor("N,N,...", parse_ints, _join, tuple)]
Seeds = Annotated[tuple[int, ...], _constructor("N | S,S,...", parse_seeds, _join, tuple)]
Names = Annotated[tuple[str, ...], _constructor("NAME,NAME,...", parse_names, _join, tuple)]
Physics = Annotated[str, arg(help="MuJoCo's backend: c, mjx, or auto (mjx where JAX runs on a GPU).")]
Json = Annotated[bool, arg(help="Print JSON instead of the table.")]
StepTimeout = Annotated[
    Number | None,
    arg(help="Seconds after which a call of a host environment counts as failed."),
]
