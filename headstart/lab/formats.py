"""Formats numbers for people: grouped by thin spaces, with as many digits as their interval supports."""

import math

from headstart.protocol.statistics import Interval

THIN = "\u202f"  # a narrow space that does not break the line
MINUS = "\u2212"
UNKNOWN = "–"


def rounded(x: float | None, step: float = 1.0) -> str:
    """Returns x to the nearest `step`, a power of ten, such as `1 840` for 1843.2 and 10."""
    if x is None or not math.isfinite(x):
        return UNKNOWN
    decimals = max(0, -round(math.log10(step)))
    shown = f"{round(abs(x) / step) * step:,.{decimals}f}".replace(",", THIN)
    zero = not shown.strip("0." + THIN)
    return (MINUS if x < 0 and not zero else "") + shown


def step(*values: float | None, digits: int = 3) -> float:
    """Returns the power of ten that leaves `digits` significant digits to the largest of the values."""
    largest = max((abs(x) for x in values if x is not None and math.isfinite(x)), default=0.0)
    return 10.0 ** (math.floor(math.log10(largest)) + 1 - digits) if largest > 0.0 else 1.0


def interval_step(interval: Interval) -> float:
    """Returns the step to which an interval is rounded: two digits of its width, and at most four of its numbers."""
    width = interval.high - interval.low
    if not math.isfinite(width) or width <= 0.0:
        return step(*interval[:3])
    return max(step(width, digits=2), step(*interval[:3], digits=4))


def number(x: float | None, digits: int = 3) -> str:
    """Returns x with so many significant digits; whole numbers that are small have no decimals."""
    if x is None or not math.isfinite(x):
        return UNKNOWN
    is_integer = float(x).is_integer() and abs(x) < 10.0**digits
    return rounded(x, 1.0 if is_integer else step(x, digits=digits))


def count(x: float | None) -> str:
    """Returns a count with all of its digits."""
    return rounded(x, 1.0)


def statistic(interval: Interval | None, to: float | None = None) -> str:
    """Returns the interval's statistic alone, rounded to `to`, or to the digits that its width supports."""
    return UNKNOWN if interval is None else rounded(interval.iqm, to or interval_step(interval))


def bounds(interval: Interval | None, to: float | None = None) -> str:
    """Returns `[low, high]`, rounded alike."""
    if interval is None or not math.isfinite(interval.low + interval.high):
        return ""
    to = to or interval_step(interval)
    return f"[{rounded(interval.low, to)}, {rounded(interval.high, to)}]"


def signed(interval: Interval | None) -> str:
    """Returns the statistic with its sign, for differences."""
    shown = statistic(interval)
    return f"+{shown}" if interval is not None and interval.iqm > 0 and shown != "0" else shown


def compact(x: float) -> str:
    """Returns a round number for the tick of an axis, such as `200 k` or `1.5 M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(x) >= size:
            size = 1e3 if letter == "k" else size
            return f"{_plain(x / size)}{THIN}{letter}"
    return _plain(x)


def duration(seconds: float | None) -> str:
    """Returns seconds in the units people use, such as `3 min 20 s`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 60.0:
        return f"{number(seconds, 2)}{THIN}s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{THIN}h {minutes}{THIN}min" if hours else f"{minutes}{THIN}min {left}{THIN}s"


def p_value(p: float | None) -> str:
    """Returns a p value as text, with two significant digits."""
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def _plain(x: float) -> str:
    shown = f"{abs(x):,.10g}".replace(",", THIN)
    return (MINUS if x < 0 else "") + shown


def value_text(value: object) -> str:
    """Returns a value of a file as text: numbers rounded, text unchanged, a dash for None."""
    if value is None:
        return UNKNOWN
    try:
        return number(float(str(value)), 4)
    except ValueError:
        return str(value)
