"""Where a training stands, what is told of it, and who keeps it so that it can go on from there."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from headstart.core.counting import Count
from headstart.core.memory import Memory, empty
from headstart.core.rollout import EnvState, reset_envs, rollout
from headstart.core.types import Key, Knowledge, Learner, Metrics, Record, Task, TrainState, Transition

MetricSums = dict[str, tuple[Array, Array]]  # of each metric: its sum over turns, and the turns that told it


class LoopState(Record):
    """Everything that training needs to go on."""

    state: TrainState
    env_states: EnvState | None
    memory: Memory | None  # None: nothing is kept, as on-policy, or nothing yet
    key: Key
    steps: Count  # environment steps that counted, of all tasks together
    episodes: Count  # episodes that ended
    target_steps: Count  # those of them in tasks of the target domain
    target_episodes: Count
    gradient_steps: Count
    pending_updates: Int[Array, "*seed"]  # of the next gradient step, in parts of the denominator of `Replay.rate`
    steps_since_target: Int[Array, "*seed"]  # steps since the target last played, below `Replay.spare`

    def counted(self, fresh: Transition, gradient_steps: Array) -> "LoopState":
        """Returns the run, having played `fresh` [task, time, copy] and taken so many gradient steps."""
        ends = fresh.weight * fresh.last
        return self.replace(
            steps=self.steps.add(fresh.weight.sum()),
            episodes=self.episodes.add(ends.sum()),
            target_steps=self.target_steps.add((fresh.weight * fresh.domain).sum()),
            target_episodes=self.target_episodes.add((ends * fresh.domain).sum()),
            gradient_steps=self.gradient_steps.add(gradient_steps),
        )

    def done(self) -> "LoopState":
        """-> what is left of it when there is nothing more to learn: it acts no more, and needs no memory."""
        return self.replace(env_states=None, memory=None)


def with_memory(learner: Learner, tasks: Task, run: LoopState) -> LoopState:
    """-> the runs [seed] with a memory, where the learner keeps one. `observe` says what is kept: it may relabel."""
    return run if run.memory is not None or not learner.replay.buffer_size else _remembering(learner, tasks, run)


@functools.partial(jax.jit, static_argnames="learner")
def _remembering(learner: Learner, tasks: Task, run: LoopState) -> LoopState:
    def gather(knowledge: Knowledge, key: Key) -> Transition:
        worlds = reset_envs(learner, tasks, learner.replay.num_envs, key)
        fresh = rollout(learner, knowledge, tasks, worlds, key, 1.0, learner.replay.num_steps)[1]
        return learner.prepare(knowledge, fresh, key, 0.0)[1]

    def one(run: LoopState) -> LoopState:
        like = jax.eval_shape(gather, run.state.knowledge, run.key)
        return run.replace(memory=empty(like, learner.replay.buffer_size))

    return jax.vmap(one)(run)


class Progress(NamedTuple):
    """Where training stands: what a `for` loop over `train` sees. Each array has a leading seed axis."""

    state: TrainState
    steps: Float[np.ndarray, " seed"]
    episodes: Float[np.ndarray, " seed"]
    gradient_steps: Float[np.ndarray, " seed"]
    metrics: Metrics  # means since the last point: NaN where no gradient step was taken, or no episode ended (`return`)

    @property
    def knowledge(self) -> Knowledge:
        return self.state.knowledge


def progress_of(run: LoopState, metrics: Metrics) -> Progress:
    """-> what a caller sees of the runs. Copied: the next turn takes the runs' own memory over."""
    steps, episodes, gradient_steps = (x.numbers() for x in (run.steps, run.episodes, run.gradient_steps))
    return Progress(copy_arrays(run.state), steps, episodes, gradient_steps, metrics)


@jax.jit
def copy_arrays(tree: Any) -> Any:
    """-> the same, in memory of its own."""
    return jax.tree.map(jnp.copy, tree)


def select(tree: Any, which: slice | list[int]) -> Any:
    """-> these of each array's first axis. By numpy, which compiles nothing."""
    return jax.tree.map(lambda x: jax.device_put(np.asarray(x)[which]), tree)


@jax.jit
def metric_means(tally: MetricSums) -> Metrics:
    """-> each metric's mean over the turns that told it."""
    return {name: total / n for name, (total, n) in tally.items()}


class Snapshot(NamedTuple):
    """A training as it was left, between two turns."""

    state: LoopState
    sums: MetricSums  # of the turns since the last point; at the end, of those that led to the last
    iterations: int  # that it has taken


class Checkpointer:
    """Keeps trainings, so that they can go on. This one keeps nothing: files are the lab's business.

    One journal serves all that a method learns, one training after another and always in the same order.
    """

    def restore(self, like: Snapshot, of: int) -> Snapshot | None:
        """-> where the next training was left, which takes `of` turns; None: it has not begun.

        `like` has the shapes of what is kept. It has no worlds where they live outside of the program, and then begin
        anew.
        """
        return None

    def chunk_size(self, ahead: int) -> int:
        """-> how many of the turns ahead are taken before `look`. However many: it changes no number."""
        return ahead

    def after_chunk(self, left: Snapshot, of: int) -> None:
        """Sees the training after each stretch. Whatever is to last is copied: the next turn takes its memory over."""
