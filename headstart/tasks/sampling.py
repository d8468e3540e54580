"""Tasks with numbers out of a task with laws: of its ensemble, from outside of it, or at its nominal values."""

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

BAND_WIDTH = 0.25  # how far held-out values lie beyond a range, in widths of it
NEAR, FAR = 2.0, 3.0  # between how many standard deviations they lie, of normal laws

Band = tuple[float, float]

__all__ = ["held_out", "in_range", "is_ensemble", "nominal", "sample_params"]


def is_ensemble(task: Task) -> bool:
    """Returns whether episodes draw any of its parameters."""
    return bool(_drawn(task))


def nominal(task: Task) -> Task:
    """Returns the task with what it draws at the nominal values; what it fixes stays."""
    fixed = {
        name: jnp.full(task.domain.shape, registry.parameter(task.env, name).nominal, jnp.float32)
        for name in _drawn(task)
    }
    return task.replace(params={**task.params, **fixed})


def in_range(task: Task, n: int, key: Key) -> Task:
    """Returns `n` stacked tasks of fixed numbers, drawn as the task's episodes draw them. Raises InputError for a stack."""
    _check_single(task)
    drawn = {}
    for i, name in enumerate(sorted(task.params)):
        if name in _drawn(task):
            drawn[name] = jax.vmap(task.params[name].sample)(jax.random.split(jax.random.fold_in(key, i), n))
    return _stacked(task, n, drawn)


def held_out(task: Task, n: int, key: Key) -> Task:
    """Returns `n` stacked tasks of fixed numbers, none of which the task's episodes (commonly) draw, in any parameter.

    Uniform in the two bands beside a range, each a quarter of its width (of the logarithm's, for log-uniform laws), and
    from 2 to 3 standard deviations off a normal law that is not truncated there; no further than the parameter's bounds
    go. Raises InputError for a stack of tasks, and where a law leaves nothing outside of itself or is of another kind.
    """
    _check_single(task)
    drawn = {}
    for i, name in enumerate(sorted(task.params)):
        if name in _drawn(task):
            parameter = registry.parameter(task.env, name)
            drawn[name] = _outside(task, parameter, n, jax.random.fold_in(key, i))
    return _stacked(task, n, drawn)


def _drawn(task: Task) -> list[str]:
    return [name for name, value in task.params.items() if isinstance(value, Distribution)]


def _check_single(task: Task) -> None:
    if task.domain.ndim:
        raise InputError("These are several tasks, stacked; draw from them one by one.")


def _stacked(task: Task, n: int, drawn: dict[str, Array]) -> Task:
    fixed = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)),
        task.replace(params={name: value for name, value in task.params.items() if name not in drawn}),
    )
    return fixed.replace(params={**fixed.params, **drawn})


def _outside(task: Task, parameter: Parameter, n: int, key: Key) -> Float[Array, " {n}"]:
    """Returns values on both sides of a law, either side as likely as it is wide."""
    law = distributions.spec_of(task.params[parameter.name])
    where = f"{task.env.name}: {parameter.name}={registry.value_of(task, parameter.name)}"
    if law is None:
        raise InputError(f"{where} has no held-out range; use a uniform, log-uniform or normal law.")
    on_scale, off_scale = (np.log, jnp.exp) if law.kind == "log" else (np.asarray, jnp.asarray)
    bands = _bands(law, parameter, parameter == DELAY or isinstance(task.params[parameter.name], BoundedDistribution))
    below, above = ((float(on_scale(low)), float(on_scale(high))) for low, high in bands)
    sizes = [max(high - low, 0.0) for low, high in (below, above)]
    if sum(sizes) == 0:
        raise InputError(f"{where} fills all that is possible, so that nothing is held out; narrow it.")
    along = jax.random.uniform(key, (n,)) * sum(sizes)
    drawn = off_scale(jnp.where(along < sizes[0], below[0] + along, above[0] + along - sizes[0]))
    if isinstance(task.params[parameter.name], BoundedDistribution):  # whole numbers, away from the law's own
        drawn = jnp.where(along < sizes[0], jnp.ceil(drawn - 0.5), jnp.floor(drawn + 0.5))
    return jnp.clip(drawn, parameter.low, parameter.high)


def _bands(law: distributions.DistributionSpec, parameter: Parameter, whole: bool) -> tuple[Band, Band]:
    """Returns what lies beside a law: (low, high) below it and above; empty (low >= high) where its bounds leave nothing."""
    if law.kind == "log":
        ratio = (law.high / law.low) ** BAND_WIDTH
        outer, inner = (law.low / ratio, law.high * ratio), (law.low, law.high)
    elif law.kind == "normal" and not distributions.truncated(law, parameter):
        outer, inner = ((law.centre - k * law.deviation, law.centre + k * law.deviation) for k in (FAR, NEAR))
    else:
        width = BAND_WIDTH * (law.high - law.low)
        outer, inner = (law.low - width, law.high + width), (law.low, law.high)
    if whole:  # they are rounded, and so must be ones that the law never comes to
        inner = math.ceil(inner[0] - 0.5) - 0.5, math.floor(inner[1] + 0.5) + 0.5
        outer = min(outer[0], inner[0] - 1.0), max(outer[1], inner[1] + 1.0)
        outer = (max(outer[0], 0.5), outer[1]) if law.kind == "log" else outer
    return (max(outer[0], parameter.low), inner[0]), (inner[1], min(outer[1], parameter.high))
