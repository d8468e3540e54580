"""The training loop. Every learner and every method runs through it.

All seeds run as one program: keys, priors and everything in a `LoopState` have a leading seed axis.
"""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core import memory as memories
from headstart.core.compiling import compiled
from headstart.core.counting import Count, count_of
from headstart.core.errors import InputError
from headstart.core.iterations import iterations_for
from headstart.core.learn import for_new_training, init_train_state
from headstart.core.rollout import EnvState, close_envs, num_tasks, reset_envs
from headstart.core.run import (
    Checkpointer,
    LoopState,
    MetricSums,
    Progress,
    Snapshot,
    copy_arrays,
    metric_means,
    progress_of,
    with_memory,
)
from headstart.core.train_step import train_step
from headstart.core.types import Key, Learner, Metrics, Tasks, TrainState, group_key, groups

MAX_CHUNK = 2**30  # iterations of one call: they are counted in int32


@functools.partial(jax.jit, static_argnames="learner")
def init_loop_state(learner: Learner, keys: Key, prior: TrainState | None = None) -> LoopState:
    """Returns loop states [seed] before their first step. `enter_envs` adds environments and memory."""

    def one(key: Key, prior: TrainState | None) -> LoopState:
        key, k_init = jax.random.split(key)
        params = learner.init(k_init, None if prior is None else for_new_training(prior.params))
        kept = prior.optimizers if prior is not None and learner.keep_optimizer else None
        state, zero, none = init_train_state(learner, params, kept), count_of(0), jnp.int32(0)
        return LoopState(state, None, None, key, zero, zero, zero, zero, zero, none, none)

    return jax.vmap(one)(keys, prior)


@functools.partial(jax.jit, static_argnames="learner")
def enter_envs(learner: Learner, tasks: Tasks, run: LoopState, budget: Count | None = None) -> LoopState:
    """Returns the loop states with fresh environments, and an empty memory where the learner keeps one and had none.

    In a memory that it had, the episodes of the former environments end.

    A stateful env starts no episode for a seed that has spent its `budget`, if there is one. Raises InputError where
    environments should be inactive at times, and the env cannot wait.
    """
    stateful = [group.env.name for group in groups(tasks) if group.env.stateful]
    if (learner.replay.source_steps_per_target_step > 1 or learner.allocate_envs is not None) and stateful:
        raise InputError(
            f"{stateful[0]} is somebody else's environment, which cannot wait for other tasks; choose "
            "a method that steps all tasks in every step."
        )

    def one(run: LoopState) -> LoopState:
        key, k_reset = jax.random.split(run.key)
        num_envs, env_states = learner.replay.num_envs, []
        for g, group in enumerate(groups(tasks)):
            shape = num_tasks(group), num_envs
            wanted = None if budget is None else jnp.broadcast_to(run.steps.less(budget), shape)
            env_states.append(reset_envs(learner, group, num_envs, group_key(k_reset, g), wanted))
        return run.replace(env_states=tuple(env_states), key=key)

    return jax.vmap(one)(without_running_episodes(with_memory(learner, tasks, run)))


def empty_sums(
    learner: Learner, tasks: Tasks, run: LoopState, budget: Count, offline: tuple[memories.Memory, ...] | None = None
) -> MetricSums:
    """Returns the metric sums of no iterations [seed]."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), run)
    shapes = jax.eval_shape(lambda run: train_step(learner, tasks, run, budget, None, offline)[1], one)
    none = {name: jnp.zeros((*run.pending_updates.shape, *like.shape)) for name, like in shapes.items()}
    return {name: (x, x) for name, x in none.items()}


@functools.partial(compiled, donate_argnames="run")
def train_chunk(
    learner: Learner,
    tasks: Tasks,
    run: LoopState,
    iterations: Array,
    budget: Count,
    sums: MetricSums | None = None,
    offline: tuple[memories.Memory, ...] | None = None,
) -> tuple[LoopState, MetricSums]:
    """Runs so many iterations for all seeds. Returns their states and metric sums. It compiles once for any number."""

    def step(_, carry: tuple[LoopState, MetricSums]) -> tuple[LoopState, MetricSums]:
        run, sums = carry
        run, metrics, reported = jax.vmap(lambda run: train_step(learner, tasks, run, budget, None, offline))(run)
        add = lambda name, x: (sums[name][0] + jnp.where(reported[name], x, 0.0), sums[name][1] + reported[name])
        return run, {name: add(name, x) for name, x in metrics.items()}

    sums = empty_sums(learner, tasks, run, budget, offline) if sums is None else sums
    return jax.lax.fori_loop(0, iterations, step, (run, sums))


def train_on_shots(
    learner: Learner, tasks: Tasks, run: LoopState, episodes: Array, budget: Count
) -> tuple[LoopState, Metrics]:
    """Runs exactly so many whole episodes in each task and learns from them. Returns the states and metrics [seed].

    `learner.replay.num_steps` must be the horizon, and `episodes` at most `learner.replay.num_envs`. Off-policy
    learners keep these transitions in memory.
    """
    return _train_on_shots(learner, tasks, with_memory(learner, tasks, run), episodes, budget)


def without_running_episodes(run: LoopState) -> LoopState:
    """Returns loop states [seed] in whose memory no episode goes on, before their environments are left."""
    if run.memory is None:
        return run
    return run.replace(memory=tuple(jax.vmap(memories.cut_episodes)(memory) for memory in run.memory))


@compiled
def _train_on_shots(
    learner: Learner, tasks: Tasks, run: LoopState, episodes: Array, budget: Count
) -> tuple[LoopState, Metrics]:
    run = without_running_episodes(run)
    return jax.vmap(lambda run: train_step(learner, tasks, run, budget, episodes)[:2])(run)


def train(
    learner: Learner,
    tasks: Tasks,
    steps: int,
    keys: Key,
    prior: TrainState | None = None,
    num_points: int = 20,
    checkpointer: Checkpointer | None = None,
    offline: tuple[memories.Memory, ...] | None = None,
) -> Iterator[Progress]:
    """Trains, and yields about `num_points` times; logging, saving, evaluating and stopping are the caller's loop.

    `tasks` has a leading task axis, `keys` (and a `prior`) a leading seed axis. Tasks of several envs are a tuple of
    such stacks, of which each takes a rollout in every iteration. Training takes at least `steps` environment steps,
    rounded up to whole rollouts. It continues from the snapshot of `checkpointer`, if there is one, and yields from
    there on; the end in any case. `offline` is logged experience of each stack, from
    `memory.from_log`, which a method's phases may draw from.
    """
    budget, iterations = count_of(steps), iterations_for(learner, tasks, steps)
    fresh = lambda: enter_envs(learner, tasks, init_loop_state(learner, keys, prior))
    shapes = lambda: _shapes(learner, tasks, fresh, budget, offline)
    saved = None if checkpointer is None else checkpointer.restore(shapes(), iterations)
    if saved is not None and saved.iterations >= iterations:
        yield progress_of(saved.state, metric_means(saved.sums))
        return
    if saved is not None and saved.state.env_states is None:
        saved = saved._replace(state=enter_envs(learner, tasks, saved.state))
    run = fresh() if saved is None else saved.state
    for later, metrics in train_loop(learner, tasks, run, iterations, budget, num_points, checkpointer, saved, offline):
        yield progress_of(later, metrics)


def _shapes(
    learner: Learner,
    tasks: Tasks,
    fresh: Callable[[], LoopState],
    budget: Count,
    offline: tuple[memories.Memory, ...] | None,
) -> Snapshot:
    """Returns the shapes of a training's snapshot."""
    saved = lambda run: (_persistent(tasks, run), empty_sums(learner, tasks, run, budget, offline))
    run, sums = jax.eval_shape(lambda: saved(fresh()))
    return Snapshot(run, sums, 0)


def _persistent(tasks: Tasks, run: LoopState) -> LoopState:
    """Returns what outlasts this process."""
    return run.replace(env_states=None) if _stateful(tasks) else run


def _stateful(tasks: Tasks) -> bool:
    return any(group.env.stateful for group in groups(tasks))


def train_loop(
    learner: Learner,
    tasks: Tasks,
    run: LoopState,
    iterations: int,
    budget: Count,
    num_points: int,
    checkpointer: Checkpointer | None = None,
    saved: Snapshot | None = None,
    offline: tuple[memories.Memory, ...] | None = None,
) -> Iterator[tuple[LoopState, Metrics]]:
    """Yields loop states and metrics at about `num_points` points of `iterations` iterations.

    `run` has entered its environments. The next iteration reuses the buffers of what was yielded: copy what is to be
    kept. At the end, stateful environments are closed.
    """
    checkpointer, zero = checkpointer or Checkpointer(), empty_sums(learner, tasks, run, budget, offline)
    # An interrupted iteration has already reused the buffers of the state's own env states.
    opened = copy_arrays(run.env_states) if _stateful(tasks) else None
    done, sums = (0, zero) if saved is None else (saved.iterations, saved.sums)
    try:
        for until in sorted({round(iterations * i / num_points) for i in range(1, num_points + 1)}):
            while done < until:
                chunk = min(checkpointer.chunk_size(until - done), until - done, MAX_CHUNK)
                run, sums = train_chunk(learner, tasks, run, jnp.int32(chunk), budget, sums, offline)
                done += chunk
                if done == until:
                    yield run, metric_means(sums)
                    sums = sums if done == iterations else zero
                # After the yield, so that a snapshot includes what the caller did with it.
                checkpointer.after_chunk(Snapshot(_persistent(tasks, run), sums, done), iterations)
    finally:
        if opened is not None:
            _close(tasks, opened)


@jax.jit
def _close(tasks: Tasks, env_states: tuple[EnvState, ...]) -> None:
    for group, own in zip(groups(tasks), env_states, strict=True):
        jax.vmap(functools.partial(close_envs, group))(own)
