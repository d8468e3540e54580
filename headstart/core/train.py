"""The loop, once: gather, understand, keep, learn. Every learner and every method runs through it.

All seeds run as one program: keys, priors and everything in a `Run` have a leading seed axis.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core import memory as memories
from headstart.core.errors import InputError
from headstart.core.learn import learn
from headstart.core.rollout import World, count, first_episodes, leave, players, rollout, start
from headstart.core.types import Key, Knowledge, Learner, Metrics, PyTree, Record, Task, TrainState, Transition, no_loss

# On a CPU, XLA hands products to YNNPACK, which gives each of them one core. Told not to, it spreads them over all.
# The option is experimental: only for the versions that it was tried with.
EVERY_CORE = {"xla_cpu_experimental_ynn_fusion_type": ""} if jax.__version_info__[:2] == (0, 10) else {}


class Run(Record):
    """Everything that training needs to go on."""

    state: TrainState
    worlds: World | None
    memory: memories.Memory | None  # None: on-policy, nothing is kept
    key: Key
    steps: Float[Array, "*seed"]  # environment steps that counted, of all tasks together
    episodes: Float[Array, "*seed"]  # episodes that ended
    target_steps: Float[Array, "*seed"]  # those of them in tasks of the target domain
    target_episodes: Float[Array, "*seed"]


class Point(NamedTuple):
    """Where training stands: what a `for` loop over `train` sees. Each array has a leading seed axis."""

    state: TrainState
    steps: Array
    episodes: Array
    metrics: Metrics  # means over the steps since the last point; `return` is NaN where no episode ended

    @property
    def knowledge(self) -> Knowledge:
        return self.state.knowledge

    @property
    def gradient_steps(self) -> Array:
        return self.state.taken


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, however often it is asked for
def iterate(learner: Learner, tasks: Task, run: Run, budget: Array, whole: Array | None = None) -> tuple[Run, Metrics]:
    """One turn of the loop, for one seed. `whole`: start anew, and count only so many whole episodes a task.

    A seed that has spent its budget is left as it is: what it plays has no weight, and it learns nothing more.
    """
    key, k_start, k_play, k_observe, k_learn = jax.random.split(run.key, 5)
    progress = jnp.minimum(run.steps / budget, 1.0)
    state, replay = run.state, learner.replay
    worlds = start(learner, tasks, replay.copies, k_start) if whole is not None else run.worlds
    assert worlds is not None
    playing = players(learner, state.knowledge, tasks, k_start)
    worlds, fresh = rollout(learner, state.knowledge, tasks, worlds, k_play, 1.0, replay.length, playing)
    if whole is not None:
        leave(tasks, worlds)
    going = jnp.array(True) if whole is not None else run.steps < budget
    counted = fresh.weight * going if whole is None else first_episodes(fresh, whole)
    fresh = fresh.replace(weight=counted)
    ends = fresh.weight * fresh.last
    scored = jnp.where(fresh.last & (fresh.weight > 0), fresh.score, 0.0).sum() / ends.sum()

    knowledge, batch = learner.observe(state.knowledge, fresh, k_observe, progress)
    state = state.replace(knowledge=knowledge, slow=learner.follow(state.slow, knowledge))
    memory, metrics = run.memory, {}
    if learner.loss is not no_loss:
        if memory is None:
            memory = memories.empty(batch, batch.weight.shape[1] * batch.weight.shape[2])  # relabelling may add rows
        memory = memories.add(memory, batch, replay.segment)
        gathered = counted.sum((1, 2)).max()  # by the busiest task
        state, metrics = learn(learner, state, memory, gathered, k_learn, progress, going)
    run = Run(
        state=state,
        worlds=None if whole is not None else worlds,
        memory=None if run.memory is None else memory,
        key=key,
        steps=run.steps + fresh.weight.sum(),
        episodes=run.episodes + ends.sum(),
        target_steps=run.target_steps + (fresh.weight * fresh.domain).sum(),
        target_episodes=run.target_episodes + (ends * fresh.domain).sum(),
    )
    return run, {**metrics, "return": scored}


@functools.partial(jax.jit, static_argnames="learner")
def begin(learner: Learner, keys: Key, prior: TrainState | None = None) -> Run:
    """-> runs [seed] before their first step. Worlds and memory come with `enter`."""

    def one(key: Key, prior: TrainState | None) -> Run:
        key, k_init = jax.random.split(key)
        knowledge = learner.init(k_init, None if prior is None else prior.knowledge)
        if prior is not None and learner.keep_optimizer:
            optimizer = prior.optimizer
        else:
            optimizer = learner.optimizer.init(cast(PyTree, knowledge))
        slow = None if learner.tau is None else knowledge
        none = jnp.zeros(())
        state = TrainState(knowledge, slow, optimizer, jnp.int32(0))
        return Run(state, None, None, key, none, none, none, none)

    return jax.vmap(one)(keys, prior)


@functools.partial(jax.jit, static_argnames="learner")
def enter(learner: Learner, tasks: Task, run: Run) -> Run:
    """-> the runs with fresh worlds to act in, and a memory where the learner keeps one.

    Raises InputError where a task should wait for others, and cannot.
    """
    if (learner.replay.spare > 1 or learner.allot is not None) and tasks.env.live:
        raise InputError(
            f"{tasks.env.name} is somebody else's environment, which cannot wait for another to go on; "
            "choose a method whose tasks all play in every step."
        )

    def one(run: Run) -> Run:
        key, k_start = jax.random.split(run.key)
        worlds, memory = start(learner, tasks, learner.replay.copies, k_start), run.memory
        if memory is None and learner.replay.capacity:
            memory = memories.empty(experience(learner, tasks, run.state.knowledge, worlds), learner.replay.capacity)
        return run.replace(worlds=worlds, memory=memory, key=key)

    return jax.vmap(one)(run)


def experience(learner: Learner, tasks: Task, knowledge: Knowledge, worlds: World) -> Transition:
    """-> the shapes of what `observe` hands to the memory (relabelling may change them)."""

    def gather(key: Key) -> Transition:
        fresh = rollout(learner, knowledge, tasks, worlds, key, 1.0, learner.replay.length)[1]
        return learner.observe(knowledge, fresh, key, 0.0)[1]

    return jax.eval_shape(gather, jax.random.key(0))


@functools.partial(jax.jit, static_argnames="learner", donate_argnames="run", compiler_options=EVERY_CORE)
def advance(learner: Learner, tasks: Task, run: Run, turns: Array, budget: Array) -> tuple[Run, Metrics]:
    """`turns` turns of the loop for all seeds -> runs, and their mean metrics [seed]. One compile for any number."""

    def one(run: Run) -> tuple[Run, Metrics]:
        shapes = jax.eval_shape(lambda run: iterate(learner, tasks, run, budget)[1], run)
        nothing = {name: (jnp.zeros(()), jnp.zeros(())) for name in shapes}

        def turn(_, carry):
            run, sums = carry
            run, metrics = iterate(learner, tasks, run, budget)
            there = {name: ~jnp.isnan(x) if name == "return" else True for name, x in metrics.items()}
            sums = {
                name: (sums[name][0] + jnp.where(there[name], x, 0.0), sums[name][1] + there[name])
                for name, x in metrics.items()
            }
            return run, sums

        run, sums = jax.lax.fori_loop(0, turns, turn, (run, nothing))
        return run, {name: total / n for name, (total, n) in sums.items()}

    return jax.vmap(one)(run)


@functools.partial(jax.jit, static_argnames="learner", compiler_options=EVERY_CORE)
def shoot(learner: Learner, tasks: Task, run: Run, episodes: Array, budget: Array) -> tuple[Run, Metrics]:
    """Spend just so many whole episodes in each task, and learn from them -> runs, metrics [seed].

    `learner.replay.length` must be the horizon and `episodes` at most `learner.replay.copies`.
    """
    return jax.vmap(lambda run: iterate(learner, tasks, run, budget, episodes))(run)


def per_turn(learner: Learner, tasks: Task) -> int:
    """-> environment steps of one turn of the loop, of all tasks together."""
    length, copies, spare = learner.replay.length, learner.replay.copies, learner.replay.spare
    if learner.allot is not None:
        return length * copies
    if spare == 1:
        return length * copies * count(tasks)
    return copies * sum(-(-length // spare) if domain else length for domain in tasks.domain.tolist())


def train(
    learner: Learner,
    tasks: Task,
    steps: int,
    keys: Key,
    prior: TrainState | None = None,
    points: int = 20,
) -> Iterator[Point]:
    """Yields about `points` Points on the way; logging, saving, judging and stopping are the caller's `for` loop.

    `tasks` has a leading task axis, `keys` (and a `prior`) a leading seed axis. At least `steps` environment steps
    are taken, rounded up to whole rollouts.
    """
    run = enter(learner, tasks, begin(learner, keys, prior))
    turns = -(-steps // per_turn(learner, tasks))
    for later, metrics in go_on(learner, tasks, run, turns, jnp.float32(steps), points):
        yield point(later, metrics)


def go_on(
    learner: Learner, tasks: Task, run: Run, turns: int, budget: Array, points: int
) -> Iterator[tuple[Run, Metrics]]:
    """Yields runs that have entered their worlds at about `points` points of `turns` more turns, and their metrics.

    Going on takes a run's memory over: copy what is to be kept of it. In the end the worlds are left.
    """
    done = 0
    try:
        for i in range(1, points + 1):
            until = round(turns * i / points)
            if until > done:
                run, metrics = advance(learner, tasks, run, jnp.int32(until - done), budget)
                done = until
                yield run, metrics
    finally:
        lost = any(x.is_deleted() for x in jax.tree.leaves(run.worlds))  # to a turn that was broken off
        if tasks.env.live and not lost:
            _dismiss(tasks, run.worlds)


@jax.jit
def _dismiss(tasks: Task, worlds: World) -> None:
    jax.vmap(lambda worlds: leave(tasks, worlds))(worlds)


def point(run: Run, metrics: Metrics) -> Point:
    """-> what a caller sees of the runs. Copied: the next turn takes the runs' own memory over."""
    state, steps, episodes = _copied((run.state, run.steps, run.episodes))
    return Point(state, steps, episodes, metrics)


@jax.jit
def _copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)
