"""The value of one parameter of a task: a number, or a distribution from which each episode draws one.

Task strings can write uniform, log-uniform and normal distributions. A normal one is always truncated: at the ends that
it names, or at the parameter's bounds, so that no draw is impossible (such as a negative mass). Other scalar
`numpyro.distributions` work too, by their names (`named_distributions`); their draws are clipped to the bounds. An
integer parameter draws integers. Everything is float32: tasks that differ only in values share one
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
    """A distribution in plain numbers, in the parameter's unit."""

    kind: Literal["uniform", "log", "normal"]
    low: float
    high: float
    centre: float = math.nan  # of a normal distribution
    deviation: float = math.nan


def canonical(owner: str, parameter: Parameter, value: Any) -> Array | dist.Distribution:
    """Returns the value (a number, a `numpyro` distribution or a `DistributionSpec`) as tasks hold it: float32,
    checked.

    Raises InputError, with `owner` (the env's name) in it, if the value is neither a number nor a scalar distribution,
    if a range is empty or reversed, or if anything is not finite or lies outside of the parameter's bounds.
    """
    description = f"{owner}: {parameter.name}"
    if isinstance(value, dist.Distribution):
        _check_scalar(description, value)
        spec = spec_of(value)
        return (
            _canonical_other(description, parameter, _inner(value))
            if spec is None
            else _canonical_spec(description, parameter, spec)
        )
    if isinstance(value, DistributionSpec):
        return _canonical_spec(description, parameter, value)
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError):
        raise InputError(
            f"{description}={value!r} is neither one number nor a numpyro distribution; give it one of them."
        ) from None
    _check_bounds(f"{description}={format_number(number)}", parameter, number)
    _check_integer(f"{description}={format_number(number)}", parameter, number)
    return jnp.asarray(number, jnp.float32)


def _canonical_spec(description: str, parameter: Parameter, spec: DistributionSpec) -> dist.Distribution:
    """Returns the distribution rebuilt, so that all of one kind have the same tree; a normal one within the bounds."""
    if spec.kind == "normal":
        spec = spec._replace(
            low=parameter.low if math.isinf(spec.low) else spec.low,
            high=parameter.high if math.isinf(spec.high) else spec.high,
        )
    _check(f"{description}={_text(spec, parameter)}", parameter, spec)
    finite = [end for end in spec[1:3] if math.isfinite(end)]
    _check_integer(f"{description}={_text(spec, parameter)}", parameter, *finite)
    if parameter.integer == "never" or any(end % 1 for end in finite):
        return _build(spec)
    low, high = (jnp.asarray(end, jnp.float32) for end in spec[1:3])
    return BoundedDistribution(_build(spec._replace(low=spec.low - 0.5, high=spec.high + 0.5)), low, high, integer=True)


def _build(spec: DistributionSpec) -> dist.Distribution:
    low, high, centre, deviation = (jnp.asarray(number, jnp.float32) for number in spec[1:])
    if spec.kind == "normal":
        return dist.TruncatedNormal(centre, deviation, low=low, high=high)
    return dist.Uniform(low, high) if spec.kind == "uniform" else dist.LogUniform(low, high)


def _canonical_other(description: str, parameter: Parameter, distribution: dist.Distribution) -> dist.Distribution:
    """Returns a distribution without a short form, with its draws clipped to the parameter's bounds."""
    description = f"{description}={text(distribution, parameter)}"
    bounds = _support(distribution)
    if np.isfinite(bounds).all():  # finite ends can be chosen otherwise
        _check_bounds(description, parameter, *bounds)
    as_arrays = jax.tree.map(lambda x: _array(x, distribution.is_discrete), distribution)
    integer = distribution.is_discrete or parameter.integer != "never"
    if not integer and parameter.low <= bounds[0] and bounds[1] <= parameter.high:
        return as_arrays
    low, high = (jnp.asarray(end, jnp.float32) for end in (parameter.low, parameter.high))
    return BoundedDistribution(as_arrays, low, high, integer)


def _array(number: Any, counts: bool) -> Array:
    """Returns a number of a distribution as float32, or as int32 if it `counts` something, such as trials."""
    integer = counts and jnp.issubdtype(jnp.asarray(number).dtype, jnp.integer)
    return jnp.asarray(number, jnp.int32 if integer else jnp.float32)


def _support(distribution: dist.Distribution) -> tuple[float, float]:
    """Returns the ends of a distribution's support; infinite if it has none or does not declare them."""
    if distribution.support is constraints.boolean:
        return 0.0, 1.0
    low, high = (getattr(distribution.support, end, None) for end in ("lower_bound", "upper_bound"))
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _check_scalar(description: str, distribution: dist.Distribution) -> None:
    name = type(distribution).__name__
    if distribution.batch_shape or distribution.event_shape:
        raise InputError(f"{description} is a {name} of many numbers; give a scalar one, and stack tasks instead.")


def _check_integer(description: str, parameter: Parameter, *numbers: float) -> None:
    if parameter.integer == "always" and any(number % 1 for number in numbers):
        raise InputError(f"{description} is no whole number, and {parameter.name} is always one; write whole numbers.")


def spec_of(distribution: Any) -> DistributionSpec | None:
    """Returns the distribution in plain numbers; None if task strings have no short form for it."""
    if isinstance(distribution, BoundedDistribution):
        spec = spec_of(distribution.base)
        return None if spec is None else spec._replace(low=float(distribution.low), high=float(distribution.high))
    if isinstance(distribution, dist.Uniform | dist.LogUniform):
        numbers: Any = distribution
        kind = "uniform" if isinstance(distribution, dist.Uniform) else "log"
        return DistributionSpec(kind, float(numbers.low), float(numbers.high))
    base: Any = distribution.base_dist if isinstance(distribution, TRUNCATED) else distribution
    if not isinstance(base, dist.Normal):
        return None
    normal: Any = base
    low, high = float(getattr(distribution, "low", -math.inf)), float(getattr(distribution, "high", math.inf))
    return DistributionSpec("normal", low, high, float(normal.loc), float(normal.scale))


def typical_range(value: Any) -> tuple[float, float]:
    """Returns the range in which a task's value of a parameter usually lies: a number twice, or two numbers."""
    if not isinstance(value, dist.Distribution):
        return float(value), float(value)
    spec = spec_of(value)
    if spec is None:
        draws = np.asarray(value.sample(jax.random.key(0), (16,)), np.float64)
        return float(draws.min()), float(draws.max())
    if spec.kind != "normal":
        return spec.low, spec.high
    low, high = (
        max(spec.low, spec.centre - 2 * spec.deviation),
        min(spec.high, spec.centre + 2 * spec.deviation),
    )
    return (round(low), round(high)) if isinstance(value, BoundedDistribution) and value.integer else (low, high)


def _check(description: str, parameter: Parameter, spec: DistributionSpec) -> None:
    low, high = format_number(spec.low), format_number(spec.high)
    # a normal distribution is unbounded if its parameter is
    if np.isnan(spec[1:3]).any() or not np.isfinite(spec[3:] if spec.kind == "normal" else spec[1:3]).all():
        raise InputError(f"{description} holds a number that is not finite; give finite ones.")
    if spec.low > spec.high:
        raise InputError(f"{description} runs backwards; write the smaller end first: {high}..{low}.")
    if as_float32(spec.low) == as_float32(spec.high):
        raise InputError(f"{description} is an empty range; write {parameter.name}={low}, or two ends that differ.")
    if spec.kind == "log" and as_float32(spec.low) <= 0:
        raise InputError(f"{description} is a log range that does not lie above 0; raise its lower end {low}.")
    if spec.kind == "normal" and as_float32(spec.deviation) <= 0:
        raise InputError(
            f"{description} has a standard deviation that is not above 0; write a number "
            f"({parameter.name}={format_number(spec.centre)}), or raise the deviation."
        )
    _check_bounds(description, parameter, *(end for end in spec[1:3] if math.isfinite(end)))
    if spec.kind == "normal" and not spec.low <= spec.centre <= spec.high:
        raise InputError(
            f"{description} has its centre {format_number(spec.centre)} outside of {low}..{high}; move it inside."
        )


def _check_bounds(description: str, parameter: Parameter, *numbers: Any) -> None:
    """Raises InputError if a number is not within the bounds, both compared as float32."""
    low, high = as_float32(parameter.low), as_float32(parameter.high)
    for number in numbers:
        if not np.isfinite(number):
            raise InputError(f"{description} is not finite; give a finite number.")
        if not low <= as_float32(number) <= high:
            unit = f" {parameter.unit}" if parameter.unit else ""
            raise InputError(
                f"{description} is out of bounds; "
                f"{parameter.name} lies within {format_number(low)}..{format_number(high)}{unit}."
            )


def text(value: Any, parameter: Parameter) -> str:
    """Returns the value as in a task string: `9`, `3..9`, `log:0.1..10`, `6~1.5`, `6~1.5|3..9`, `Poisson(rate=3)`.

    For a distribution that task strings cannot write, it returns numpyro's name.
    """
    return text_or_none(value, parameter) or type(_inner(value)).__name__


def text_or_none(value: Any, parameter: Parameter) -> str | None:
    """Returns the value as in a task string; None if task strings cannot write it."""
    if not isinstance(value, dist.Distribution):
        return format_number(value)
    spec = spec_of(value)
    return named_distributions.write(_inner(value)) if spec is None else _text(spec, parameter)


def _inner(distribution: Any) -> Any:
    """Returns the distribution within a `BoundedDistribution`, or the distribution itself."""
    return distribution.base if isinstance(distribution, BoundedDistribution) else distribution


def _text(spec: DistributionSpec, parameter: Parameter) -> str:
    bounds = f"{format_number(spec.low)}..{format_number(spec.high)}"
    if spec.kind != "normal":
        return bounds if spec.kind == "uniform" else f"log:{bounds}"
    normal = f"{format_number(spec.centre)}~{format_number(spec.deviation)}"
    return f"{normal}|{bounds}" if truncated(spec, parameter) else normal


def truncated(spec: DistributionSpec, parameter: Parameter) -> bool:
    """Returns whether a normal distribution ends before its parameter's bounds."""
    return bool(as_float32(spec.low) > as_float32(parameter.low) or as_float32(spec.high) < as_float32(parameter.high))


def as_float32(number: Any) -> np.float32:
    """Returns the number as float32; infinity if it is too large."""
    with np.errstate(over="ignore"):
        return np.float32(number)


def format_number(number: Any) -> str:
    """Returns the shortest decimal that rounds to this float32."""
    return f"{number:g}" if np.isinf(as_float32(number)) else str(as_float32(number)).removesuffix(".0")
