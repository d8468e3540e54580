"""Active sampling: which source is played next is drawn, the more often the further it is from being solved.

Transfers: policy, value and features (normaliser) of the policy for all sources.
Assumes: a return is known at which a source counts as solved, and sources differ in how long they take to get there.
Fails when: a source cannot be solved at all, and takes the steps of those that can.
Source: arXiv:1611.01796 (its curriculum: tasks in proportion to 1 − their mean reward).
Departs from it in: mean returns follow each rollout, not every 500th step; lengths of sketches, which there let longer
tasks in one by one, have no counterpart here.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Metrics, Spec, Statistics, Transition
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class ActiveSampling(Method):
    """The base learner, whose copies play in each rollout just so many sources as one of them alone would play."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    sampling: Literal["gap", "uniform"] = "gap"  # what sources are drawn by: how far they are from solved, or nothing
    min_return: float = 0.0  # return at which nothing is solved
    solved_return: float = 1.0  # return at which a source is solved, > worst
    min_gap: float = 0.01  # gap of a source that is solved: it goes on being played now and then, in (0, 1]
    step_size: float = 0.1  # how far each rollout moves the mean return of a source, in (0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "sampling")
        for name in ("min_gap", "step_size"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        if self.solved_return <= self.min_return:
            raise InputError(
                f"A source is never solved by wanted={self.solved_return:g}, worst={self.min_return:g}; want more."
            )

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if inner.combine is not None:
            raise InputError(
                "ActiveSampling weighs sources by how much each was played, and its base gives each source's gradient "
                "the same say; choose another base."
            )
        if spec.num_tasks == 1:
            return inner
        return inner._replace(
            init=functools.partial(_init, self, inner, spec.num_tasks),
            prepare=functools.partial(_observe, self, inner),
            loss=functools.partial(_loss, self, inner),
            allocate_envs=functools.partial(_allot, self, inner.replay.num_envs),
        )


class TaskReturns(Statistics):
    """How each source goes: the mean of its last returns while learning, and how much of it there is to draw from."""

    returns: Float[Array, "*seed task"]
    num_rows: Float[Array, "*seed task"] | None  # rows in memory; None where only the newest rollout is learned from


def task_probabilities(active: ActiveSampling, returns: Float[Array, " task"]) -> Float[Array, " task"]:
    """-> how often each source is drawn; they add up to 1."""
    gap = (
        jnp.clip((active.solved_return - returns) / (active.solved_return - active.min_return), 0.0, 1.0)
        + active.min_gap
    )
    return gap / gap.sum() if active.sampling == "gap" else jnp.full(returns.shape, 1.0 / returns.size)


def systematic_allocation(chances: Float[Array, " task"], copies: int, luck: Float[Array, ""]) -> Int[Array, " task"]:
    """-> so many copies, shared out by systematic sampling: each count is its mean, rounded up or down by `luck`."""
    edges = jnp.cumsum(chances)[:-1] * copies
    ends = jnp.concatenate([jnp.zeros(1), jnp.floor(edges + luck), jnp.full(1, float(copies))])
    return jnp.diff(jnp.clip(ends, 0.0, copies)).astype(jnp.int32)


def task_weights(rows: Float[Array, " task"]) -> Float[Array, " task"]:
    """Returns how much each source weighs, of which there are so many rows; 1 in the mean."""
    return rows / jnp.maximum(rows.mean(), 1e-8)


def _init(active: ActiveSampling, inner: Learner, tasks: int, key: Key, prior: Knowledge | None) -> Knowledge:
    k = inner.init(key, prior)
    begun = TaskReturns(jnp.full(tasks, active.min_return), jnp.zeros(tasks) if inner.replay.buffer_size else None)
    return k.replace(model=begun) if isinstance(k.model, TaskReturns) else k.with_model("ActiveSampling", begun)


def _allot(active: ActiveSampling, copies: int, k: Knowledge, key: Key) -> Int[Array, " task"]:
    return systematic_allocation(task_probabilities(active, k.model.returns), copies, jax.random.uniform(key))


def _observe(
    active: ActiveSampling, inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """The base learner's lesson, in which each source counts by how much of it was played.

    Rows that are kept count alike; of them, equally many are drawn of each source, and `_loss` weighs the sources.
    """
    known, batch = inner.prepare(k, fresh, key, progress)
    ended = fresh.weight * fresh.last
    scores = jnp.where(ended > 0, fresh.episode_return, 0.0).sum((1, 2))
    mean = scores / jnp.maximum(ended.sum((1, 2)), 1e-8)
    standing, some = k.model.returns, ended.sum((1, 2)) > 0
    returns = jnp.where(some, standing + active.step_size * (mean - standing), standing)
    played = fresh.weight.sum((1, 2))
    if k.model.num_rows is not None:
        held = jnp.minimum(k.model.num_rows + played, inner.replay.buffer_size)
        return known.replace(model=TaskReturns(returns, held)), batch
    weight = batch.weight * task_weights(played)[:, None, None]
    return known.replace(model=TaskReturns(returns, None)), batch.replace(weight=weight)


def _loss(
    active: ActiveSampling,
    inner: Learner,
    k: Knowledge,
    slow: Knowledge | None,
    batch: Transition,
    key: Key,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    if k.model.num_rows is not None:
        share = task_weights(k.model.num_rows).reshape(-1, *[1] * (batch.weight.ndim - 1))
        batch = batch.replace(weight=batch.weight * share)
    loss, metrics = inner.loss(k, slow, batch, key, progress)
    drawn = task_probabilities(active, k.model.returns)
    return loss, {**metrics, **{f"drawn_{i + 1}": chance for i, chance in enumerate(drawn)}}
