"""Domain adaptation: the source is made to look like the target, by a little of what the target shows.

It helps where the target is dear, but may be looked at. It fails where what is best in the target cannot happen in the
source.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.errors import InputError
from headstart.core.types import Image, Key, Knowledge, Learner, Method, Metrics, PyTree, Spec, Transition

Domains = Int[Array, " row"]  # 0 source, 1 target
RowWeights = Float[Array, " row"]  # of a row in its own domain's mean
AlignmentLoss = Callable[
    [Knowledge, Float[Array, "row feature"], Domains, RowWeights, Array | float], tuple[Array, Metrics]
]


def with_alignment_loss(method: Any, spec: Spec, target: bool, lesson: AlignmentLoss) -> Learner:
    """-> `method.base` on the sources alone, and `lesson` on what its encoder makes of both domains' images.

    The target is the last of the tasks, as `adapt` stacks them; nothing of it but its images reaches either. Alone, a
    task is learned by the base learner. Raises InputError where there are no images.
    """
    base: Method = method.base
    inner = base.learner(spec._replace(num_tasks=1), target)
    if not isinstance(spec.observation_space, Image):
        raise InputError(
            f"{type(method).__name__} makes images of two domains look the same, and this task shows numbers; choose "
            "a task that shows images, such as RenderedReach."
        )
    if spec.num_tasks == 1:
        return inner
    return inner._replace(
        prepare=functools.partial(_observe, inner),
        loss=functools.partial(_loss, inner, lesson),
        replay=inner.replay.with_source_steps_per_target_step(method.source_steps_per_target_step),
    )


def _apart(tasks: Transition) -> tuple[Transition, Transition]:
    """-> the sources' rows, and the target's."""
    return jax.tree.map(lambda x: x[:-1], tasks), jax.tree.map(lambda x: x[-1:], tasks)


def _observe(
    inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """The base learner's lesson of the sources; the target's rows come along as they are."""
    source, target = _apart(fresh)
    k, batch = inner.prepare(k, source, key, progress)
    target = target.replace(extras=jax.tree.map(lambda x: jnp.zeros_like(x[:1]), batch.extras))
    return k, jax.tree.map(lambda *x: jnp.concatenate(x), batch, target)


def _loss(
    inner: Learner,
    lesson: AlignmentLoss,
    k: Knowledge,
    slow: PyTree,
    batch: Transition,
    key: Key,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    source, target = _apart(batch)
    loss, metrics = inner.loss(k, slow, source, key, progress)
    # each by itself: the sources' features are the base learner's own, and XLA computes them once
    seen = [jax.vmap(jax.vmap(k.features))(rows.obs).reshape(rows.weight.size, -1) for rows in (source, target)]
    shares = [rows.weight.reshape(-1) / jnp.maximum(rows.weight.sum(), 1e-8) for rows in (source, target)]
    more, told = lesson(k, jnp.concatenate(seen), batch.domain.reshape(-1), jnp.concatenate(shares), progress)
    return loss + more, {**metrics, **told}
