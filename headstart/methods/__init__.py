"""The map of the lecture: every way to transfer, in its order. The command line, the docs and the tests read it.

`scratch` and `naive` are no methods but the rows that every method has to beat: learning the target from nothing, and
running the source's policy on the target as it is.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Callable
from typing import Literal

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods.forward.finetune import Finetune
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.randomize import Randomize


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a study: a method, and what it is given."""

    name: str
    make: Callable[..., Method]  # keyword arguments are the method's fields
    section: str  # of the lecture
    learns_on: Literal["nothing", "source", "ensemble"]  # before it sees the target
    adapts: bool  # whether it goes on learning in the target
    about: str


METHODS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("scratch", PPO, "control", "nothing", True, "learns the target from nothing"),
        Entry("naive", PPO, "control", "source", False, "runs the source's policy on the target, as it is"),
        Entry("finetune", Finetune, "forward transfer", "source", True, "goes on from the source's knowledge"),
        Entry("randomize", Randomize, "randomization", "ensemble", True, "learns an ensemble of sources, then goes on"),
        Entry("epopt", EPOpt, "randomization", "ensemble", True, "learns the ensemble's worst paths, then goes on"),
    )
}

CLASSES: dict[str, type[Method]] = {kind.__name__: kind for kind in (PPO, Uniform, Finetune, Randomize, EPOpt)}


def describe(method: Method) -> dict[str, typing.Any]:
    """-> a method as plain data: its class, and its fields."""
    fields = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # pyright: ignore[reportArgumentType]
    plain = {name: describe(x) if isinstance(x, Method) else x for name, x in fields.items()}
    return {"class": type(method).__name__, **plain}


def rebuild(data: dict[str, typing.Any]) -> Method:
    """-> the method that `describe` wrote down. Raises InputError where this version knows no such method or field."""
    fields = {name: rebuild(x) if isinstance(x, dict) else x for name, x in data.items() if name != "class"}
    fields = {name: tuple(x) if isinstance(x, list) else x for name, x in fields.items()}
    try:
        return CLASSES[data["class"]](**fields)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"This version of headstart knows no method like {data!r} ({error}); use the version that wrote it."
        ) from None


def find(text: str) -> tuple[Entry, Method]:
    """-> the entry and the method that a user means by `NAME` or `NAME:field=value:field=value`.

    A field of the method inside of another is reached through it: `epopt:epsilon=0.2:base.learning_rate=1e-3`. Tuples
    are written with plus signs, `base.hidden=32+32`. Raises InputError for a name or a field that there is not, and for
    a value that does not fit its field.
    """
    name, *settings = text.split(":")
    entry = METHODS.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, METHODS, n=2, cutoff=0.4) or list(METHODS)
        raise InputError(f"There is no method {name!r}; did you mean {' or '.join(near)}?")
    method = entry.make()
    for setting in settings:
        path, _, value = setting.partition("=")
        method = _set(method, path.split("."), value, f"{name}:{setting}")
    return entry, method


def _set(method: Method, path: list[str], value: str, where: str) -> Method:
    """-> the method with the field at the end of the path set to what the text says."""
    name, *inner = path
    fields = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # pyright: ignore[reportArgumentType]
    held = fields.get(name)
    if name not in fields or isinstance(held, Method) != bool(inner):
        known = [f"{x}.FIELD of {type(held).__name__}" if isinstance(held, Method) else x for x, held in fields.items()]
        raise InputError(f"{where} sets no field of {type(method).__name__}; FIELD=VALUE takes {', '.join(known)}.")
    if isinstance(held, Method):
        return dataclasses.replace(method, **{name: _set(held, inner, value, where)})  # pyright: ignore[reportArgumentType]
    kind = typing.get_type_hints(type(method))[name]
    try:
        read = _read(kind, value)
    except (ValueError, KeyError, OverflowError):
        raise InputError(f"{where} does not fit; {name} takes {_words(kind)}.") from None
    return dataclasses.replace(method, **{name: read})  # pyright: ignore[reportArgumentType]


def _words(kind: typing.Any) -> str:
    """-> what a field of that type takes, as a person would say it."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    if typing.get_origin(kind) is tuple:
        return f"{_words(inner[0])}, or several with + between them"
    if inner:  # `X | None`
        return f"{_words(inner[0])}, or none"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}[kind]


def _read(kind: typing.Any, value: str) -> object:
    """-> the text as a value of that type. Raises ValueError or KeyError where it is none."""
    inner = typing.get_args(kind)
    if kind is bool:
        return {"true": True, "false": False}[value.lower()]
    if kind in (int, float):
        number = float(value)
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise ValueError(value)
        return kind(number)
    if typing.get_origin(kind) is Literal:
        return dict(zip(inner, inner, strict=True))[value]
    if typing.get_origin(kind) is tuple:
        return tuple(_read(inner[0], part) for part in value.split("+") if part)
    if inner:  # `X | None`
        return None if value.lower() == "none" else _read(inner[0], value)
    return kind(value)
