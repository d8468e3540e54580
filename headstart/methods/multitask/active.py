"""Active sampling: sources are sampled more often, the further their return is from solved.

Transfers: policy, value and encoder or normalizer of the policy for all sources.
Assumes: a return is known at which a source counts as solved, and sources differ in how long they take to get there.
Fails when: a source cannot be solved at all, and takes the steps of those that can.
Source: arXiv:1611.01796 (its curriculum: tasks in proportion to 1 − their mean reward).
Departs from it in: mean returns are updated after each rollout, not every 500th step; its lengths of sketches, which
introduce longer tasks one by one, have no counterpart here.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Learner, Method, Phase, Spec, Statistics
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class ActiveSampling(Method):
    """The base learner, whose environments are allocated to sources anew in each rollout."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains
    sampling: Literal["gap", "uniform"] = "gap"  # sample sources by their gap to the solved return, or uniformly
    min_return: float = 0.0  # return of a source that is not solved at all
    solved_return: float = 1.0  # return of a solved source, > min_return
    min_gap: float = 0.01  # gap of a solved source, so that it is still sampled, in (0, 1]
    step_size: float = 0.1  # of the running mean of a source's returns, per rollout, in (0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "sampling")
        for name in ("min_gap", "step_size"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        if self.solved_return <= self.min_return:
            raise InputError(
                f"solved_return={self.solved_return:g} is not above min_return={self.min_return:g}; raise it."
            )

    def build(self, spec: Spec, target: bool) -> Learner:
        inner, num_tasks = self.base.learner(spec, target), spec.num_tasks
        if any(phase.combine is not None for phase in inner.phases):
            raise InputError(
                "ActiveSampling weighs sources by how much each was played, and its base gives each source's gradient "
                "the same weight; choose another base."
            )
        if num_tasks == 1:
            return inner
        off_policy = bool(inner.replay.buffer_size)

        def init(key, prior):
            rows = jnp.zeros(num_tasks) if off_policy else None
            return {**inner.init(key, prior), "task_returns": TaskReturns(jnp.full(num_tasks, self.min_return), rows)}

        def allocate_envs(params, info):
            probabilities = task_probabilities(self, params["task_returns"].returns)
            return systematic_allocation(probabilities, inner.replay.num_envs, jax.random.uniform(info.key))

        def prepare(params, rollout, info):
            """Updates mean returns, and weighs each source by how much of it was played.

            Off-policy, rows in memory have equal weights, and the losses weigh the sources instead, since a batch holds
            equally many rows of each.
            """
            new, rows = inner.prepare(params, rollout, info)
            ended = rollout.weight * rollout.last
            totals = jnp.where(ended > 0, rollout.episode_return, 0.0).sum((1, 2))
            mean, before = totals / jnp.maximum(ended.sum((1, 2)), 1e-8), params["task_returns"]
            moved = before.returns + self.step_size * (mean - before.returns)
            returns = jnp.where(ended.sum((1, 2)) > 0, moved, before.returns)
            played = rollout.weight.sum((1, 2))
            if before.num_rows is not None:
                num_rows = jnp.minimum(before.num_rows + played, inner.replay.buffer_size)
                return {**new, "task_returns": TaskReturns(returns, num_rows)}, rows
            weight = rows.weight * task_weights(played)[:, None, None]
            return {**new, "task_returns": TaskReturns(returns, None)}, rows.replace(weight=weight)

        def weighed(phase: Phase) -> Phase:
            def loss(params, batch, info):
                stats = params["task_returns"]
                if stats.num_rows is not None:
                    weights = task_weights(stats.num_rows).reshape(-1, *[1] * (batch.weight.ndim - 1))
                    batch = batch.replace(weight=batch.weight * weights)
                total, metrics = phase.loss(params, batch, info)
                sampled = enumerate(task_probabilities(self, stats.returns))
                return total, {**metrics, **{f"sampled_{i + 1}": probability for i, probability in sampled}}

            return phase._replace(loss=loss)

        return inner._replace(
            init=init,
            prepare=prepare,
            phases=tuple(map(weighed, inner.phases)),
            allocate_envs=allocate_envs,
        )


class TaskReturns(Statistics):
    """The running mean return of each source in training, and how many rows of it are in memory."""

    returns: Float[Array, "*seed task"]
    num_rows: Float[Array, "*seed task"] | None  # None on-policy


def task_probabilities(active: ActiveSampling, returns: Float[Array, " task"]) -> Float[Array, " task"]:
    """Returns how often each source is sampled; the probabilities add up to 1."""
    span = active.solved_return - active.min_return
    gap = jnp.clip((active.solved_return - returns) / span, 0.0, 1.0) + active.min_gap
    return gap / gap.sum() if active.sampling == "gap" else jnp.full(returns.shape, 1.0 / returns.size)


def systematic_allocation(
    probabilities: Float[Array, " task"], num_envs: int, uniform: Float[Array, ""]
) -> Int[Array, " task"]:
    """Returns `num_envs` environments allocated to tasks by systematic sampling.

    Each count is its expectation, rounded up or down by the random number `uniform` in [0, 1).
    """
    edges = jnp.cumsum(probabilities)[:-1] * num_envs
    ends = jnp.concatenate([jnp.zeros(1), jnp.floor(edges + uniform), jnp.full(1, float(num_envs))])
    return jnp.diff(jnp.clip(ends, 0.0, num_envs)).astype(jnp.int32)


def task_weights(rows: Float[Array, " task"]) -> Float[Array, " task"]:
    """Returns weights in proportion to how many rows there are of each source, 1 on average."""
    return rows / jnp.maximum(rows.mean(), 1e-8)
