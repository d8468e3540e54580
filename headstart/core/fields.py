"""Checks of a method's fields: each value fits its annotated type and is plain Python."""

import dataclasses
import functools
import numbers
import typing
from typing import Any, Literal

from headstart.core.errors import InputError

MAX_INTEGER = 2**31 - 1  # of a field that counts something, because compiled programs count in int32
DESCRIPTIONS = {bool: "true or false", int: f"a whole number up to {MAX_INTEGER}", float: "a number", str: "a word"}


def check_fields(owner: Any) -> None:
    """Converts the fields of a dataclass to their annotated types: numpy numbers to Python's, lists to tuples.

    Raises InputError, with the field and what it takes, if a value has another type.
    """
    for name, kind in _kinds(type(owner)).items():
        value = getattr(owner, name)
        try:
            fitting = fit(kind, value)
        except (TypeError, ValueError, OverflowError):
            text = f"{type(owner).__name__}({name}={value!r})"
            raise InputError(f"{text} does not fit; {name} takes {describe_type(kind)}.") from None
        if fitting is not value:
            object.__setattr__(owner, name, fitting)


def fit(kind: Any, value: Any) -> Any:
    """Returns the value as that type. Raises TypeError, ValueError or OverflowError if it is of another."""
    inner, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin is Literal or (isinstance(value, str) and inner and inner[0] is str):
        return value  # `check_choices` and `check_names` have better messages
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(value)
        fitting = tuple(fit(inner[0], one) for one in value)
        return value if fitting == value else fitting
    if inner:  # `X | None`
        return None if value is None else fit(inner[0], value)
    if kind in (int, float):
        return _number(kind, value)
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def describe_type(kind: Any) -> str:
    """Returns a phrase for the values that a field of this type takes."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    if typing.get_origin(kind) is tuple:
        return f"{describe_type(inner[0])}, or several"
    if inner:  # `X | None`
        return f"{describe_type(inner[0])}, or none"
    return DESCRIPTIONS.get(kind, "a method, such as headstart.PPO()")


def _number(kind: type, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(value)
    number: Any = value
    if kind is int and (number != int(number) or abs(number) > MAX_INTEGER):
        raise ValueError(value)
    return number if type(number) in (int, kind) else kind(number)


@functools.cache
def _kinds(owner: type) -> dict[str, Any]:
    kinds = typing.get_type_hints(owner)
    return {field.name: kinds[field.name] for field in dataclasses.fields(owner)}


def with_field_checks(owner: type) -> None:
    """Makes a dataclass check its fields when an instance is made, before its own `__post_init__`."""
    own = owner.__dict__.get("__post_init__")

    def check(self: Any) -> None:
        check_fields(self)
        if own is not None:
            own(self)

    owner.__post_init__ = check  # pyright: ignore[reportAttributeAccessIssue]
