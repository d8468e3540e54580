"""What the fields of a method may hold: values of the types that they are annotated with, as plain Python has them."""

import dataclasses
import functools
import numbers
import typing
from typing import Any, Literal

from headstart.core.errors import InputError

LARGEST = 2**31 - 1  # of a field that counts something: compiled programs count by int32
PLAIN = {bool: "true or false", int: f"a whole number up to {LARGEST}", float: "a number", str: "a word"}


def check_fields(owner: Any) -> None:
    """Gives the fields of a dataclass their annotated types: numpy's and whole floats as Python's, lists as tuples.

    Raises InputError, with the field and what it takes, where a value is of another type.
    """
    for name, kind in _kinds(type(owner)).items():
        value = getattr(owner, name)
        try:
            fitting = fit(kind, value)
        except (TypeError, ValueError, OverflowError):
            said = f"{type(owner).__name__}({name}={value!r})"
            raise InputError(f"{said} does not fit; {name} takes {describe_type(kind)}.") from None
        if fitting is not value:
            object.__setattr__(owner, name, fitting)


def fit(kind: Any, value: Any) -> Any:
    """Returns the value as that type. Raises TypeError, ValueError or OverflowError where it is of another."""
    inner, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin is Literal or (isinstance(value, str) and inner and inner[0] is str):
        return value  # which `check_choices` and `check_names` know best
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
    """Returns what a field of that type takes, as a person would say it."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    if typing.get_origin(kind) is tuple:
        return f"{describe_type(inner[0])}, or several"
    if inner:  # `X | None`
        return f"{describe_type(inner[0])}, or none"
    return PLAIN.get(kind, "a method, such as headstart.PPO()")


def _number(kind: type, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(value)
    number: Any = value
    if kind is int and (number != int(number) or abs(number) > LARGEST):
        raise ValueError(value)
    return number if type(number) in (int, kind) else kind(number)


@functools.cache
def _kinds(owner: type) -> dict[str, Any]:
    kinds = typing.get_type_hints(owner)
    return {field.name: kinds[field.name] for field in dataclasses.fields(owner)}


def with_field_checks(owner: type) -> None:
    """Lets a dataclass check its fields as an instance is made, before it checks them itself."""
    own = owner.__dict__.get("__post_init__")

    def check(self: Any) -> None:
        check_fields(self)
        if own is not None:
            own(self)

    owner.__post_init__ = check  # pyright: ignore[reportAttributeAccessIssue]
