"""What goes wrong because of what was asked for: one sentence that names the mistake, the place and the mend."""


class InputError(ValueError):
    """The user's input cannot be used. The command line prints the sentence and exits with 2, without a traceback."""


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
