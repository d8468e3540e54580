"""Tasks of fixed numbers from a task with distributions: within its ensemble, outside of it, or nominal."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from headstart.core.episode import sample_params
from headstart.core.errors import InputError
from headstart.core.types import Key, Parameter, Task
from headstart.tasks import distributions, registry
from headstart.tasks.bounded_distribution import BoundedDistribution
from headstart.tasks.disturbances import DELAY

BAND_WIDTH = 0.25  # width of a held-out band beside a range, in widths of the range
NEAR, FAR = 2.0, 3.0  # held-out band of a normal distribution, in standard deviations

Band = tuple[float, float]

__all__ = ["held_out", "in_range", "is_ensemble", "nominal", "sample_params"]


def is_ensemble(task: Task) -> bool:
    """Returns whether episodes draw any of the task's parameters."""
    return bool(_random_names(task))


def nominal(task: Task) -> Task:
    """Returns the task with nominal values for the parameters that it draws; fixed ones stay."""
    fixed = {
        name: jnp.full(task.domain.shape, registry.parameter(task.env, name).nominal, jnp.float32)
        for name in _random_names(task)
    }
    return task.replace(params={**task.params, **fixed})


def in_range(task: Task, n: int, key: Key) -> Task:
    """Returns `n` stacked tasks of fixed numbers, drawn as episodes draw them. Raises InputError for stacked tasks."""
    _check_single(task)
    draws = {}
    for i, name in enumerate(sorted(task.params)):
        if name in _random_names(task):
            draws[name] = jax.vmap(task.params[name].sample)(jax.random.split(jax.random.fold_in(key, i), n))
    return _stacked(task, n, draws)


def held_out(task: Task, n: int, key: Key) -> Task:
    """Returns `n` stacked tasks of fixed numbers outside of what the task's episodes (usually) draw, in each parameter.

    Values are uniform in the two bands beside a range, each a quarter of its width (in the logarithm for log-uniform
    distributions). For a normal distribution that is not truncated, they lie 2 to 3 standard deviations from its
    centre. All stay within the parameter's bounds. Raises InputError for stacked tasks, and if a distribution is of
    another kind or leaves nothing outside of itself.
    """
    _check_single(task)
    draws = {}
    for i, name in enumerate(sorted(task.params)):
        if name in _random_names(task):
            parameter = registry.parameter(task.env, name)
            draws[name] = _outside(task, parameter, n, jax.random.fold_in(key, i))
    return _stacked(task, n, draws)


def _random_names(task: Task) -> list[str]:
    return [name for name, value in task.params.items() if isinstance(value, Distribution)]


def _check_single(task: Task) -> None:
    if task.domain.ndim:
        raise InputError("These are several tasks, stacked; draw from them one by one.")


def _stacked(task: Task, n: int, draws: dict[str, Array]) -> Task:
    fixed = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)),
        task.replace(params={name: value for name, value in task.params.items() if name not in draws}),
    )
    return fixed.replace(params={**fixed.params, **draws})


def _outside(task: Task, parameter: Parameter, n: int, key: Key) -> Float[Array, " {n}"]:
    """Returns values on both sides of a distribution; each side is chosen in proportion to its width."""
    spec = distributions.spec_of(task.params[parameter.name])
    where = f"{task.env.name}: {parameter.name}={registry.value_of(task, parameter.name)}"
    if spec is None:
        raise InputError(f"{where} has no held-out range; use a uniform, log-uniform or normal distribution.")
    on_scale, off_scale = (np.log, jnp.exp) if spec.kind == "log" else (np.asarray, jnp.asarray)
    bands = _bands(spec, parameter, parameter == DELAY or isinstance(task.params[parameter.name], BoundedDistribution))
    below, above = ((float(on_scale(low)), float(on_scale(high))) for low, high in bands)
    sizes = [max(high - low, 0.0) for low, high in (below, above)]
    if sum(sizes) == 0:
        raise InputError(f"{where} fills the parameter's whole range, so that nothing is held out; narrow it.")
    position = jax.random.uniform(key, (n,)) * sum(sizes)
    draws = off_scale(jnp.where(position < sizes[0], below[0] + position, above[0] + position - sizes[0]))
    if isinstance(task.params[parameter.name], BoundedDistribution):  # integers that the distribution does not draw
        draws = jnp.where(position < sizes[0], jnp.ceil(draws - 0.5), jnp.floor(draws + 0.5))
    return jnp.clip(draws, parameter.low, parameter.high)


def _bands(spec: distributions.DistributionSpec, parameter: Parameter, integer: bool) -> tuple[Band, Band]:
    """Returns the bands below and above a distribution as (low, high); empty (low >= high) beyond the bounds."""
    if spec.kind == "log":
        ratio = (spec.high / spec.low) ** BAND_WIDTH
        outer, inner = (spec.low / ratio, spec.high * ratio), (spec.low, spec.high)
    elif spec.kind == "normal" and not distributions.truncated(spec, parameter):
        outer, inner = ((spec.centre - k * spec.deviation, spec.centre + k * spec.deviation) for k in (FAR, NEAR))
    else:
        width = BAND_WIDTH * (spec.high - spec.low)
        outer, inner = (spec.low - width, spec.high + width), (spec.low, spec.high)
    if integer:  # integers that the distribution does not draw
        inner = math.ceil(inner[0] - 0.5) - 0.5, math.floor(inner[1] + 0.5) + 0.5
        outer = min(outer[0], inner[0] - 1.0), max(outer[1], inner[1] + 1.0)
        outer = (max(outer[0], 0.5), outer[1]) if spec.kind == "log" else outer
    return (max(outer[0], parameter.low), inner[0]), (inner[1], min(outer[1], parameter.high))
