"""The state of a training loop, what callers see of it, and how it is saved so that it can continue."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from headstart.core.counting import Count
from headstart.core.memory import Memory, empty
from headstart.core.rollout import EnvState, reset_envs, rollout
from headstart.core.types import (
    Info,
    Key,
    Learner,
    Metrics,
    Params,
    Record,
    Task,
    Tasks,
    TrainState,
    Transition,
    groups,
)

MetricSums = dict[str, tuple[Array, Array]]  # of each metric: its sum over iterations, and how many reported it


class LoopState(Record):
    """Everything that training needs to continue."""

    state: TrainState
    env_states: tuple[EnvState | None, ...] | None  # of each group of tasks
    memory: tuple[Memory, ...] | None  # of each group; None: on-policy, or not yet made
    key: Key
    steps: Count  # environment steps, of all tasks together
    episodes: Count  # finished episodes
    target_steps: Count  # those in tasks of the target domain
    target_episodes: Count
    gradient_steps: Count  # updates
    pending_updates: Int[Array, "*seed"]  # the fraction of an update, in parts of the denominator of `update_rate`
    steps_since_target: Int[Array, "*seed"]  # below `source_steps_per_target_step`

    def counted(self, fresh: tuple[Transition, ...], updates: Array) -> "LoopState":
        """Returns the state after the rollout `fresh` [task, time, env] of each group and so many updates."""
        run = self
        for group in fresh:
            ends = group.weight * group.last
            run = run.replace(
                steps=run.steps.add(group.weight.sum()),
                episodes=run.episodes.add(ends.sum()),
                target_steps=run.target_steps.add((group.weight * group.domain).sum()),
                target_episodes=run.target_episodes.add((ends * group.domain).sum()),
            )
        return run.replace(gradient_steps=run.gradient_steps.add(updates))

    def done(self) -> "LoopState":
        """Returns what remains of it after training: neither environments nor memory."""
        return self.replace(env_states=None, memory=None)


def with_memory(learner: Learner, tasks: Tasks, run: LoopState) -> LoopState:
    """Returns the states [seed] with an empty memory, where the learner keeps one, of rows such as `prepare` makes."""
    return run if run.memory is not None or not learner.replay.buffer_size else _with_empty_memory(learner, tasks, run)


@functools.partial(jax.jit, static_argnames="learner")
def _with_empty_memory(learner: Learner, tasks: Tasks, run: LoopState) -> LoopState:
    def gather(group: Task, params: Params, key: Key) -> Transition:
        env_states = reset_envs(learner, group, learner.replay.num_envs, key)
        fresh = rollout(learner, params, group, env_states, Info(key), learner.replay.num_steps)[1]
        return learner.prepare(params, fresh, Info(key, task=group))[1]

    def one(run: LoopState) -> LoopState:
        like = [jax.eval_shape(gather, group, run.state.params, run.key) for group in groups(tasks)]
        return run.replace(memory=tuple(empty(rows, learner.replay) for rows in like))

    return jax.vmap(one)(run)


class Progress(NamedTuple):
    """What a `for` loop over `train` sees. Each array has a leading seed axis."""

    state: TrainState
    steps: Float[np.ndarray, " seed"]
    episodes: Float[np.ndarray, " seed"]
    gradient_steps: Float[np.ndarray, " seed"]
    metrics: Metrics  # means since the last one; NaN where nothing reported the metric

    @property
    def params(self) -> Params:
        return self.state.params


def progress_of(run: LoopState, metrics: Metrics) -> Progress:
    """Returns what a caller sees of the loop states. It is a copy, since the next iteration reuses their buffers."""
    steps, episodes, gradient_steps = (x.numbers() for x in (run.steps, run.episodes, run.gradient_steps))
    return Progress(copy_arrays(run.state), steps, episodes, gradient_steps, metrics)


@jax.jit
def copy_arrays(tree: Any) -> Any:
    """Returns a copy of every array."""
    return jax.tree.map(jnp.copy, tree)


def select(tree: Any, which: slice | list[int]) -> Any:
    """Returns these entries of each array's first axis. It uses numpy, which compiles nothing."""
    return jax.tree.map(lambda x: jax.device_put(np.asarray(x)[which]), tree)


@jax.jit
def metric_means(tally: MetricSums) -> Metrics:
    """Returns each metric's mean over the iterations that reported it."""
    return {name: total / n for name, (total, n) in tally.items()}


class Snapshot(NamedTuple):
    """A training between two iterations."""

    state: LoopState
    sums: MetricSums  # of the iterations since the last progress report; at the end, of those before the last
    iterations: int  # taken so far


class Checkpointer:
    """Saves trainings, so that they can continue. This one saves nothing; `lab` has one that writes files.

    One checkpointer serves all trainings of a method, one after another and always in the same order.
    """

    def restore(self, like: Snapshot, of: int) -> Snapshot | None:
        """Returns the snapshot of the next training, which takes `of` iterations; None if there is none.

        `like` has the shapes of the snapshot. It has no env states where environments live outside of the program;
        these start again.
        """
        return None

    def chunk_size(self, ahead: int) -> int:
        """Returns how many of the iterations ahead run before `after_chunk`. It changes no result."""
        return ahead

    def after_chunk(self, snapshot: Snapshot, of: int) -> None:
        """Receives the training after each chunk. It copies what it keeps: the next iteration reuses the buffers."""
