"""What goes wrong because of what was asked for: one sentence that names the mistake, the place and the mend."""


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the sentence and exits with 2, without a traceback."""


def check_range(owner: object, name: str, low: float, high: float, *, open_low: bool = False) -> None:
    """Raises InputError where a field lies outside of [low, high] (or of (low, high]) or is no number."""
    value = getattr(owner, name)
    if value is None or (low < value <= high if open_low else low <= value <= high):
        return
    bracket = "(" if open_low else "["
    raise InputError(
        f"{type(owner).__name__}({name}={value!r}) is out of range: {name} is within {bracket}{low:g}, {high:g}]."
    )
