"""Errors of the user's input. A message is one sentence: what is wrong, where, and how to mend it."""

import typing


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the message and exits with 2, without a traceback."""


class NameInputError(InputError):
    """A setting refers to something that does not exist. Nothing else of the request is run either."""


def message(error: BaseException) -> str:
    """Returns the message of an error as text that can be encoded, even if its `__str__` raises."""
    try:
        text = str(error)
    except Exception as another:
        text = f"its message cannot be read, because it raises {type(another).__name__}"
    return text.encode(errors="backslashreplace").decode()


def check_range(
    owner: object, name: str, low: float, high: float, *, open_low: bool = False, open_high: bool = False
) -> None:
    """Raises InputError if a field is not a number in [low, high]; the flags exclude an end."""
    value = getattr(owner, name)
    above = value is None or (low < value if open_low else low <= value)
    below = value is None or (value < high if open_high else value <= high)
    if above and below:
        return
    opens, closes = "(" if open_low else "[", ")" if open_high else "]"
    raise InputError(
        f"{type(owner).__name__}({name}={value!r}) is out of range: {name} is within {opens}{low:g}, {high:g}{closes}."
    )


def check_choices(owner: object, *names: str) -> None:
    """Raises InputError if one of these fields holds none of the values that its Literal type lists."""
    types = typing.get_type_hints(type(owner))
    for name in names:
        value, known = getattr(owner, name), typing.get_args(types[name])
        if value not in known:
            raise InputError(
                f"{type(owner).__name__}({name}={value!r}) is unknown: {name} is one of {', '.join(known)}."
            )


def check_names(owner: object, *names: str) -> None:
    """Raises InputError if one of these fields is not a tuple of names, such as a single name without its comma."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
            example = f"({value!r},)" if isinstance(value, str) else '("policy.net",)'
            raise InputError(f"{type(owner).__name__}({name}={value!r}) is no tuple of names; write {name}={example}.")
