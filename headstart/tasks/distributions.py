"""What a task may say of one parameter: a number, or a law by which each episode draws one.

The laws that task strings can write are uniform, log-uniform and normal, the last always truncated: at the ends it
names or else at the parameter's bounds, so that no draw is a world that cannot be (a torso of negative mass). Other
scalar `numpyro.distributions` work too, by their names (`named_laws`); what they draw beyond the bounds is set to them.
A parameter that is counted draws whole numbers. Everything is float32: tasks that differ only in values are then one
compiled program.
"""

import math
import re
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import constraints
from numpyro.distributions.truncated import (
    LeftTruncatedDistribution,
    RightTruncatedDistribution,
    TwoSidedTruncatedDistribution,
)

from headstart.core.errors import InputError
from headstart.core.types import Parameter
from headstart.tasks import named_distributions
from headstart.tasks.bounded_distribution import BoundedDistribution

NUMBER = re.compile(r"(x?)([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")  # 3.5, or x2: twice nominal
TRUNCATED = (LeftTruncatedDistribution, RightTruncatedDistribution, TwoSidedTruncatedDistribution)


class DistributionSpec(NamedTuple):
    """A law in plain numbers, in the parameter's unit."""

    kind: Literal["uniform", "log", "normal"]
    low: float
    high: float
    centre: float = math.nan  # of a normal law
    deviation: float = math.nan


def canonical(owner: str, parameter: Parameter, value: Any) -> Array | dist.Distribution:
    """Returns the value (a number, a `numpyro` distribution or a `Plain` law) as tasks hold it: float32, and checked.

    Raises InputError, with `owner` (the env's name) in it, where the value is no number and no scalar law,
    where a range is empty or reversed, and where anything lies outside of the parameter's bounds or is not finite.
    """
    where = f"{owner}: {parameter.name}"
    if isinstance(value, dist.Distribution):
        _check_scalar(where, value)
        told = spec_of(value)
        return (
            _canonical_other(where, parameter, _inner(value))
            if told is None
            else _canonical_spec(where, parameter, told)
        )
    if isinstance(value, DistributionSpec):
        return _canonical_spec(where, parameter, value)
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError):
        raise InputError(
            f"{where}={value!r} is neither one number nor a numpyro distribution; give it one of them."
        ) from None
    _check_bounds(f"{where}={format_number(number)}", parameter, number)
    _check_whole(f"{where}={format_number(number)}", parameter, number)
    return jnp.asarray(number, jnp.float32)


def _canonical_spec(where: str, parameter: Parameter, law: DistributionSpec) -> dist.Distribution:
    """Returns the law anew, so that all of one kind have one structure; a normal one within the parameter's bounds."""
    if law.kind == "normal":
        law = law._replace(
            low=parameter.low if math.isinf(law.low) else law.low,
            high=parameter.high if math.isinf(law.high) else law.high,
        )
    _check(f"{where}={_text(law, parameter)}", parameter, law)
    said = [end for end in law[1:3] if math.isfinite(end)]
    _check_whole(f"{where}={_text(law, parameter)}", parameter, *said)
    if parameter.integer == "never" or any(end % 1 for end in said):
        return _build(law)
    low, high = (jnp.asarray(end, jnp.float32) for end in law[1:3])
    return BoundedDistribution(_build(law._replace(low=law.low - 0.5, high=law.high + 0.5)), low, high, whole=True)


def _build(law: DistributionSpec) -> dist.Distribution:
    low, high, centre, deviation = (jnp.asarray(number, jnp.float32) for number in law[1:])
    if law.kind == "normal":
        return dist.TruncatedNormal(centre, deviation, low=low, high=high)
    return dist.Uniform(low, high) if law.kind == "uniform" else dist.LogUniform(low, high)


def _canonical_other(where: str, parameter: Parameter, law: dist.Distribution) -> dist.Distribution:
    """Returns a law for which task strings have no short form, its draws kept within the parameter's bounds."""
    where = f"{where}={text(law, parameter)}"
    ends = _support(law)
    if np.isfinite(ends).all():  # which whoever wrote it could have chosen otherwise
        _check_bounds(where, parameter, *ends)
    settled = jax.tree.map(lambda x: _array(x, law.is_discrete), law)
    whole = law.is_discrete or parameter.integer != "never"
    if not whole and parameter.low <= ends[0] and ends[1] <= parameter.high:
        return settled
    low, high = (jnp.asarray(end, jnp.float32) for end in (parameter.low, parameter.high))
    return BoundedDistribution(settled, low, high, whole)


def _array(number: Any, counts: bool) -> Array:
    """Returns a number of a law as float32, or as int32 where it `counts` something, such as trials."""
    whole = counts and jnp.issubdtype(jnp.asarray(number).dtype, jnp.integer)
    return jnp.asarray(number, jnp.int32 if whole else jnp.float32)


def _support(law: dist.Distribution) -> tuple[float, float]:
    """Returns the ends of what a law draws, infinite where it has none or does not say."""
    if law.support is constraints.boolean:
        return 0.0, 1.0
    low, high = (getattr(law.support, end, None) for end in ("lower_bound", "upper_bound"))
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _check_scalar(where: str, law: dist.Distribution) -> None:
    name = type(law).__name__
    if law.batch_shape or law.event_shape:
        raise InputError(f"{where} is a {name} of many numbers; give one law for one number, and stack tasks instead.")


def _check_whole(where: str, parameter: Parameter, *numbers: float) -> None:
    if parameter.integer == "always" and any(number % 1 for number in numbers):
        raise InputError(f"{where} is no whole number, and {parameter.name} is always one; write whole numbers.")


def spec_of(law: Any) -> DistributionSpec | None:
    """Returns the law in plain numbers; None where task strings have no short form for it."""
    if isinstance(law, BoundedDistribution):
        told = spec_of(law.base)
        return None if told is None else told._replace(low=float(law.low), high=float(law.high))
    if isinstance(law, dist.Uniform | dist.LogUniform):
        numbers: Any = law
        kind = "uniform" if isinstance(law, dist.Uniform) else "log"
        return DistributionSpec(kind, float(numbers.low), float(numbers.high))
    base: Any = law.base_dist if isinstance(law, TRUNCATED) else law
    if not isinstance(base, dist.Normal):
        return None
    bell: Any = base
    low, high = float(getattr(law, "low", -math.inf)), float(getattr(law, "high", math.inf))
    return DistributionSpec("normal", low, high, float(bell.loc), float(bell.scale))


def typical_range(value: Any) -> tuple[float, float]:
    """Returns between what a task's value of a parameter commonly lies: a number twice, or two numbers of a law."""
    if not isinstance(value, dist.Distribution):
        return float(value), float(value)
    law = spec_of(value)
    if law is None:
        drawn = np.asarray(value.sample(jax.random.key(0), (16,)), np.float64)
        return float(drawn.min()), float(drawn.max())
    if law.kind != "normal":
        return law.low, law.high
    low, high = max(law.low, law.centre - 2 * law.deviation), min(law.high, law.centre + 2 * law.deviation)
    return (round(low), round(high)) if isinstance(value, BoundedDistribution) and value.whole else (low, high)


def _check(where: str, parameter: Parameter, law: DistributionSpec) -> None:
    low, high = format_number(law.low), format_number(law.high)
    # a normal law may go on for ever, where its parameter does
    if np.isnan(law[1:3]).any() or not np.isfinite(law[3:] if law.kind == "normal" else law[1:3]).all():
        raise InputError(f"{where} holds a number that is not finite; give finite ones.")
    if law.low > law.high:
        raise InputError(f"{where} runs backwards; write the smaller end first: {high}..{low}.")
    if as_float32(law.low) == as_float32(law.high):
        raise InputError(f"{where} is an empty range; write {parameter.name}={low}, or two ends that differ.")
    if law.kind == "log" and as_float32(law.low) <= 0:
        raise InputError(f"{where} is a log range that does not lie above 0; raise its lower end {low}.")
    if law.kind == "normal" and as_float32(law.deviation) <= 0:
        raise InputError(
            f"{where} has a standard deviation that is not above 0; write a number "
            f"({parameter.name}={format_number(law.centre)}), or raise the deviation."
        )
    _check_bounds(where, parameter, *(end for end in law[1:3] if math.isfinite(end)))
    if law.kind == "normal" and not law.low <= law.centre <= law.high:
        raise InputError(
            f"{where} has its centre {format_number(law.centre)} outside of {low}..{high}; move it inside."
        )


def _check_bounds(where: str, parameter: Parameter, *numbers: Any) -> None:
    """Raises InputError where a number is not within the bounds, compared as float32, as they will be used."""
    low, high = as_float32(parameter.low), as_float32(parameter.high)
    for number in numbers:
        if not np.isfinite(number):
            raise InputError(f"{where} is not finite; give a finite number.")
        if not low <= as_float32(number) <= high:
            unit = f" {parameter.unit}" if parameter.unit else ""
            raise InputError(
                f"{where} is out of bounds; {parameter.name} lies within {format_number(low)}..{format_number(high)}{unit}."
            )


def text(value: Any, parameter: Parameter) -> str:
    """Returns the value as a task string has it: `9`, `3..9`, `log:0.1..10`, `6~1.5`, `6~1.5|3..9`, `Poisson(rate=3)`.

    A law that task strings have no words for is named as numpyro names it.
    """
    return text_or_none(value, parameter) or type(_inner(value)).__name__


def text_or_none(value: Any, parameter: Parameter) -> str | None:
    """Returns the value as a task string has it; None where that has no words for it."""
    if not isinstance(value, dist.Distribution):
        return format_number(value)
    law = spec_of(value)
    return named_distributions.write(_inner(value)) if law is None else _text(law, parameter)


def _inner(law: Any) -> Any:
    """Returns the law whose draws are kept within bounds, or the law itself."""
    return law.base if isinstance(law, BoundedDistribution) else law


def _text(law: DistributionSpec, parameter: Parameter) -> str:
    ends = f"{format_number(law.low)}..{format_number(law.high)}"
    if law.kind != "normal":
        return ends if law.kind == "uniform" else f"log:{ends}"
    bell = f"{format_number(law.centre)}~{format_number(law.deviation)}"
    return f"{bell}|{ends}" if truncated(law, parameter) else bell


def truncated(law: DistributionSpec, parameter: Parameter) -> bool:
    """Returns whether a normal law ends before its parameter's bounds do."""
    return bool(as_float32(law.low) > as_float32(parameter.low) or as_float32(law.high) < as_float32(parameter.high))


def as_float32(number: Any) -> np.float32:
    """Returns the number as float32; what is too large for it is infinite."""
    with np.errstate(over="ignore"):
        return np.float32(number)


def format_number(number: Any) -> str:
    """Returns the shortest decimal that is this float32."""
    return f"{number:g}" if np.isinf(as_float32(number)) else str(as_float32(number)).removesuffix(".0")
