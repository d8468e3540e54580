"""What goes wrong because of what was asked for: one sentence that names the mistake, the place and the mend."""

import typing


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the sentence and exits with 2, without a traceback."""


class NameInputError(InputError):
    """A setting names what is not there. It is a slip, whatever else there is to run."""


def message(error: BaseException) -> str:
    """Returns what an error says, as text that can be written; also where its own `__str__` raises."""
    try:
        text = str(error)
    except Exception as another:
        text = f"its message cannot be read, for that raises {type(another).__name__}"
    return text.encode(errors="backslashreplace").decode()


def check_range(
    owner: object, name: str, low: float, high: float, *, open_low: bool = False, open_high: bool = False
) -> None:
    """Raises InputError where a field lies outside of [low, high] (less the ends that are open), or is no number."""
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
    """Raises InputError where one of these fields holds none of the words that its type lists."""
    kinds = typing.get_type_hints(type(owner))
    for name in names:
        value, known = getattr(owner, name), typing.get_args(kinds[name])
        if value not in known:
            raise InputError(
                f"{type(owner).__name__}({name}={value!r}) is unknown: {name} is one of {', '.join(known)}."
            )


def check_names(owner: object, *names: str) -> None:
    """Raises InputError where one of these fields is no tuple of words, such as a single word without its comma."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
            example = f"({value!r},)" if isinstance(value, str) else '("policy.net",)'
            raise InputError(f"{type(owner).__name__}({name}={value!r}) is no tuple of names; write {name}={example}.")
