"""Domain adaptation: training in the source, corrected by a little data of the target.

It helps where target steps are expensive, but some are available. It fails where the best behaviour in the target is
impossible in the source.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.errors import InputError
from headstart.core.types import Image, Info, Learner, Method, Metrics, Params, Phase, Spec, Transition

Domains = Int[Array, " row"]  # 0 source, 1 target
RowWeights = Float[Array, " row"]  # of a row in the mean of its own domain
AlignmentLoss = Callable[[Params, Float[Array, "row feature"], Domains, RowWeights, Info], tuple[Array, Metrics]]


def with_alignment_loss(method: Any, spec: Spec, target: bool, alignment: AlignmentLoss) -> Learner:
    """Returns the learner of `method.base` on the sources, with a loss on the image features of both domains added.

    The target is the last of the tasks, as `adapt` stacks them, and only its images are used. A single task is trained
    by the base learner alone. Raises InputError where observations are not images.
    """
    base: Method = method.base
    inner = base.learner(spec._replace(num_tasks=1), target)
    if not isinstance(spec.observation_space, Image):
        raise InputError(
            f"{type(method).__name__} aligns the images of two domains, and this task has vectors; choose a task with "
            "images, such as RenderedReach."
        )
    if spec.num_tasks == 1:
        return inner

    def prepare(params, rollout, info):
        source, last = _split_domains(rollout)
        params, rows = inner.prepare(params, source, info)
        last = last.replace(extras=jax.tree.map(lambda x: jnp.zeros_like(x[:1]), rows.extras))
        return params, jax.tree.map(lambda *x: jnp.concatenate(x), rows, last)

    def aligned(phase: Phase) -> Phase:
        def loss(params, batch, info):
            domains = _split_domains(batch)
            own, metrics = phase.loss(params, domains[0], info)
            encode = jax.vmap(jax.vmap(params["encoder"]))
            # One call for each domain: the sources' features are the base learner's, and XLA computes them once.
            features = [encode(rows.obs).reshape(rows.weight.size, -1) for rows in domains]
            weights = [rows.weight.reshape(-1) / jnp.maximum(rows.weight.sum(), 1e-8) for rows in domains]
            domain = batch.domain.reshape(-1)
            more, added = alignment(params, jnp.concatenate(features), domain, jnp.concatenate(weights), info)
            return own + more, {**metrics, **added}

        return phase._replace(loss=loss)

    return inner._replace(
        prepare=prepare,
        phases=tuple(map(aligned, inner.phases)),
        replay=inner.replay.with_source_steps_per_target_step(method.source_steps_per_target_step),
    )


def _split_domains(rows: Transition) -> tuple[Transition, Transition]:
    """Returns the rows of the sources, and those of the target."""
    return jax.tree.map(lambda x: x[:-1], rows), jax.tree.map(lambda x: x[-1:], rows)
