"""The loop, once: gather, understand, keep, learn. Every learner and every method runs through it.

All seeds run as one program: keys, priors and everything in a `Run` have a leading seed axis.
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
from headstart.core.learn import for_new_training, init_train_state, run_updates, with_prepared
from headstart.core.rollout import EnvState, active_envs, close_envs, num_tasks, reset_envs, rollout
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
from headstart.core.types import Key, Learner, Metrics, Task, TrainState, Transition, no_loss

MAX_CHUNK = 2**30  # turns that one call may take: they are counted in int32


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, however often it is asked for
def train_step(
    learner: Learner, tasks: Task, run: LoopState, budget: Count, whole: Array | None = None
) -> tuple[LoopState, Metrics]:
    """One turn of the loop, for one seed. `whole`: start anew, and count only so many whole episodes a task.

    A seed that has spent its budget is left as it is: what it plays has no weight, and it learns nothing more. In a
    live env it does not play.
    """
    key, k_start, k_play, k_observe, k_learn = jax.random.split(run.key, 5)
    progress = run.steps.share(budget)
    state, replay = run.state, learner.replay
    worlds, fresh, going = _gather(learner, tasks, run, budget, whole, k_start, k_play)
    ends = fresh.weight * fresh.last
    scored = jnp.where(fresh.last & (fresh.weight > 0), fresh.episode_return, 0.0).sum() / ends.sum()

    knowledge, batch = learner.prepare(state.knowledge, fresh, k_observe, progress)
    state = with_prepared(learner, state, knowledge)
    memory, metrics, owed = run.memory, {}, run.pending_updates
    if learner.loss is not no_loss:
        memory = memories.from_rollout(batch) if memory is None else memories.add(memory, batch, replay.sequence_length)
        gathered = fresh.weight.sum((1, 2)).max().astype(jnp.int32)  # by the busiest task
        state, owed, metrics = run_updates(learner, state, memory, gathered, owed, k_learn, progress, going)
    run = run.counted(fresh, state.gradient_steps - run.state.gradient_steps).replace(
        state=state,
        env_states=worlds,
        memory=None if run.memory is None else memory,
        key=key,
        pending_updates=owed,
        steps_since_target=(run.steps_since_target + replay.num_steps) % replay.source_steps_per_target_step,
    )
    return run, {**metrics, "return": scored}


def _gather(
    learner: Learner, tasks: Task, run: LoopState, budget: Count, whole: Array | None, k_start: Key, k_play: Key
) -> tuple[EnvState | None, Transition, Array]:
    """Returns the worlds after a rollout, its experience with the weight that counts, and whether the seed goes on."""
    replay, knowledge = learner.replay, run.state.knowledge
    roll = functools.partial(rollout, learner, knowledge, tasks)
    playing = active_envs(learner, knowledge, tasks, run.steps_since_target, k_start)
    if whole is not None:
        once = jnp.broadcast_to(jnp.arange(replay.num_envs) < whole, (num_tasks(tasks), replay.num_envs))
        worlds = reset_envs(learner, tasks, replay.num_envs, k_start, once)
        worlds, fresh = roll(worlds, k_play, 1.0, replay.num_steps, playing, once)
        close_envs(tasks, worlds)
        return None, fresh, jnp.array(True)
    going = run.steps.less(budget)
    if tasks.env.stateful:  # what it played would be played outside of the program too
        playing = jnp.broadcast_to(going, (num_tasks(tasks), replay.num_steps, replay.num_envs))
    assert run.env_states is not None
    worlds, fresh = roll(run.env_states, k_play, 1.0, replay.num_steps, playing)
    return worlds, fresh.replace(weight=fresh.weight * going), going


@functools.partial(jax.jit, static_argnames="learner")
def init_loop_state(learner: Learner, keys: Key, prior: TrainState | None = None) -> LoopState:
    """-> runs [seed] before their first step. Worlds and memory come with `enter`."""

    def one(key: Key, prior: TrainState | None) -> LoopState:
        key, k_init = jax.random.split(key)
        knowledge = learner.init(k_init, None if prior is None else for_new_training(prior.knowledge))
        kept = prior.optimizer if prior is not None and learner.keep_optimizer else None
        state, zero, none = init_train_state(learner, knowledge, kept), count_of(0), jnp.int32(0)
        return LoopState(state, None, None, key, zero, zero, zero, zero, zero, none, none)

    return jax.vmap(one)(keys, prior)


@functools.partial(jax.jit, static_argnames="learner")
def enter_envs(learner: Learner, tasks: Task, run: LoopState, budget: Count | None = None) -> LoopState:
    """-> the runs with fresh worlds to act in, and a memory where the learner keeps one.

    A live env begins no episode for a seed that has spent its `budget`, where there is one. Raises InputError where a
    task should wait for others, and cannot.
    """
    if (learner.replay.source_steps_per_target_step > 1 or learner.allocate_envs is not None) and tasks.env.stateful:
        raise InputError(
            f"{tasks.env.name} is somebody else's environment, which cannot wait for another to go on; "
            "choose a method whose tasks all play in every step."
        )

    def one(run: LoopState) -> LoopState:
        key, k_start = jax.random.split(run.key)
        shape, wanted = (num_tasks(tasks), learner.replay.num_envs), None
        if budget is not None:
            wanted = jnp.broadcast_to(run.steps.less(budget), shape)
        return run.replace(env_states=reset_envs(learner, tasks, learner.replay.num_envs, k_start, wanted), key=key)

    return jax.vmap(one)(with_memory(learner, tasks, run))


def empty_sums(learner: Learner, tasks: Task, run: LoopState, budget: Count) -> MetricSums:
    """-> the tally of no turns [seed]."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), run)
    shapes = jax.eval_shape(lambda run: train_step(learner, tasks, run, budget)[1], one)
    none = {name: jnp.zeros((*run.pending_updates.shape, *like.shape)) for name, like in shapes.items()}
    return {name: (x, x) for name, x in none.items()}


@functools.partial(compiled, donate_argnames="run")
def train_chunk(
    learner: Learner, tasks: Task, run: LoopState, turns: Array, budget: Count, tally: MetricSums | None = None
) -> tuple[LoopState, MetricSums]:
    """`turns` turns of the loop for all seeds -> runs, and what they add to the tally. One compile for any number."""

    def turn(_, carry: tuple[LoopState, MetricSums]) -> tuple[LoopState, MetricSums]:
        run, tally = carry
        after, metrics = jax.vmap(lambda run: train_step(learner, tasks, run, budget))(run)
        learned = after.state.gradient_steps != run.state.gradient_steps
        there = {name: ~jnp.isnan(x) if name == "return" else learned for name, x in metrics.items()}
        tally = {
            name: (tally[name][0] + jnp.where(there[name], x, 0.0), tally[name][1] + there[name])
            for name, x in metrics.items()
        }
        return after, tally

    return jax.lax.fori_loop(0, turns, turn, (run, empty_sums(learner, tasks, run, budget) if tally is None else tally))


def train_on_shots(
    learner: Learner, tasks: Task, run: LoopState, episodes: Array, budget: Count
) -> tuple[LoopState, Metrics]:
    """Spend just so many whole episodes in each task, and learn from them -> runs, metrics [seed].

    `learner.replay.length` must be the horizon and `episodes` at most `learner.replay.copies`. Off-policy learners
    remember them, unless they draw segments: these lie by copies, of which there are others afterwards.
    """
    run = with_memory(learner, tasks, run) if learner.replay.sequence_length == 1 else run
    return _train_on_shots(learner, tasks, run, episodes, budget)


@compiled
def _train_on_shots(
    learner: Learner, tasks: Task, run: LoopState, episodes: Array, budget: Count
) -> tuple[LoopState, Metrics]:
    return jax.vmap(lambda run: train_step(learner, tasks, run, budget, episodes))(run)


def train(
    learner: Learner,
    tasks: Task,
    steps: int,
    keys: Key,
    prior: TrainState | None = None,
    num_points: int = 20,
    checkpointer: Checkpointer | None = None,
) -> Iterator[Progress]:
    """Yields about `points` Points on the way; logging, saving, judging and stopping are the caller's `for` loop.

    `tasks` has a leading task axis, `keys` (and a `prior`) a leading seed axis. At least `steps` environment steps
    are taken, rounded up to whole rollouts. What `journal` holds of it is not learned anew: points come from there on,
    the last one in any case.
    """
    budget, turns = count_of(steps), iterations_for(learner, tasks, steps)
    fresh = lambda: enter_envs(learner, tasks, init_loop_state(learner, keys, prior))
    left = None if checkpointer is None else checkpointer.restore(_shapes(learner, tasks, fresh, budget), turns)
    if left is not None and left.iterations >= turns:
        yield progress_of(left.state, metric_means(left.sums))
        return
    if left is not None and left.state.env_states is None:
        left = left._replace(run=_with_fresh_envs(learner, tasks, left.state))
    run = fresh() if left is None else left.state
    for later, metrics in train_loop(learner, tasks, run, turns, budget, num_points, checkpointer, left):
        yield progress_of(later, metrics)


def _shapes(learner: Learner, tasks: Task, fresh: Callable[[], LoopState], budget: Count) -> Snapshot:
    """-> the shapes of what is kept of a training."""
    keeps = lambda run: (_persistent(tasks, run), empty_sums(learner, tasks, run, budget))
    run, tally = jax.eval_shape(lambda: keeps(fresh()))
    return Snapshot(run, tally, 0)


def _persistent(tasks: Task, run: LoopState) -> LoopState:
    """-> what outlasts this process."""
    return run.replace(env_states=None) if tasks.env.stateful else run


def _with_fresh_envs(learner: Learner, tasks: Task, run: LoopState) -> LoopState:
    """-> the runs in fresh worlds; what was remembered of those before is no episode that goes on there."""
    memory = run.memory
    if memory is not None and learner.replay.sequence_length > 1:
        memory = jax.vmap(lambda memory: memories.cut_episodes(memory, learner.replay.num_envs))(memory)
    return enter_envs(learner, tasks, run.replace(memory=memory))


def train_loop(
    learner: Learner,
    tasks: Task,
    run: LoopState,
    turns: int,
    budget: Count,
    points: int,
    journal: Checkpointer | None = None,
    left: Snapshot | None = None,
) -> Iterator[tuple[LoopState, Metrics]]:
    """Yields runs that have entered their worlds at about `points` points of `turns` turns, and their metrics.

    Going on takes a run's memory over: copy what is to be kept of it. In the end the worlds are left.
    """
    journal, none = journal or Checkpointer(), empty_sums(learner, tasks, run, budget)
    begun = (
        copy_arrays(run.env_states) if tasks.env.stateful else None
    )  # a turn that is broken off has taken the run's own over
    done, tally = (0, none) if left is None else (left.iterations, left.sums)
    try:
        for until in sorted({round(turns * i / points) for i in range(1, points + 1)}):
            while done < until:
                stretch = min(journal.chunk_size(until - done), until - done, MAX_CHUNK)
                run, tally = train_chunk(learner, tasks, run, jnp.int32(stretch), budget, tally)
                done += stretch
                if done == until:
                    yield run, metric_means(tally)
                    tally = tally if done == turns else none
                # after the point: what its reader made of it belongs to what is kept
                journal.after_chunk(Snapshot(_persistent(tasks, run), tally, done), turns)
    finally:
        if begun is not None:
            _close(tasks, begun)


@jax.jit
def _close(tasks: Task, worlds: EnvState) -> None:
    jax.vmap(lambda worlds: close_envs(tasks, worlds))(worlds)
