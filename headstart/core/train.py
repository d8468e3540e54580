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
from headstart.core.learn import begin_state, entered, learn, observed
from headstart.core.rollout import World, count, leave, players, rollout, start
from headstart.core.run import Journal, Left, Point, Run, Tally, copied, means, point, remembering
from headstart.core.turns import turns_for
from headstart.core.types import Key, Learner, Metrics, Task, TrainState, Transition, no_loss

STRETCH = 2**30  # turns that one call may take: they are counted in int32


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, however often it is asked for
def iterate(learner: Learner, tasks: Task, run: Run, budget: Count, whole: Array | None = None) -> tuple[Run, Metrics]:
    """One turn of the loop, for one seed. `whole`: start anew, and count only so many whole episodes a task.

    A seed that has spent its budget is left as it is: what it plays has no weight, and it learns nothing more. In a
    live env it does not play.
    """
    key, k_start, k_play, k_observe, k_learn = jax.random.split(run.key, 5)
    progress = run.steps.share(budget)
    state, replay = run.state, learner.replay
    worlds, fresh, going = _played(learner, tasks, run, budget, whole, k_start, k_play)
    ends = fresh.weight * fresh.last
    scored = jnp.where(fresh.last & (fresh.weight > 0), fresh.score, 0.0).sum() / ends.sum()

    knowledge, batch = learner.observe(state.knowledge, fresh, k_observe, progress)
    state = observed(learner, state, knowledge)
    memory, metrics, owed = run.memory, {}, run.owed
    if learner.loss is not no_loss:
        memory = memories.holding(batch) if memory is None else memories.add(memory, batch, replay.segment)
        gathered = fresh.weight.sum((1, 2)).max().astype(jnp.int32)  # by the busiest task
        state, owed, metrics = learn(learner, state, memory, gathered, owed, k_learn, progress, going)
    run = run.counted(fresh, state.taken - run.state.taken).replace(
        state=state,
        worlds=worlds,
        memory=None if run.memory is None else memory,
        key=key,
        owed=owed,
        waited=(run.waited + replay.length) % replay.spare,
    )
    return run, {**metrics, "return": scored}


def _played(
    learner: Learner, tasks: Task, run: Run, budget: Count, whole: Array | None, k_start: Key, k_play: Key
) -> tuple[World | None, Transition, Array]:
    """Returns the worlds after a rollout, its experience with the weight that counts, and whether the seed goes on."""
    replay, knowledge = learner.replay, run.state.knowledge
    roll = functools.partial(rollout, learner, knowledge, tasks)
    playing = players(learner, knowledge, tasks, run.waited, k_start)
    if whole is not None:
        once = jnp.broadcast_to(jnp.arange(replay.copies) < whole, (count(tasks), replay.copies))
        worlds = start(learner, tasks, replay.copies, k_start, once)
        worlds, fresh = roll(worlds, k_play, 1.0, replay.length, playing, once)
        leave(tasks, worlds)
        return None, fresh, jnp.array(True)
    going = run.steps.less(budget)
    if tasks.env.live:  # what it played would be played outside of the program too
        playing = jnp.broadcast_to(going, (count(tasks), replay.length, replay.copies))
    assert run.worlds is not None
    worlds, fresh = roll(run.worlds, k_play, 1.0, replay.length, playing)
    return worlds, fresh.replace(weight=fresh.weight * going), going


@functools.partial(jax.jit, static_argnames="learner")
def begin(learner: Learner, keys: Key, prior: TrainState | None = None) -> Run:
    """-> runs [seed] before their first step. Worlds and memory come with `enter`."""

    def one(key: Key, prior: TrainState | None) -> Run:
        key, k_init = jax.random.split(key)
        knowledge = learner.init(k_init, None if prior is None else entered(prior.knowledge))
        kept = prior.optimizer if prior is not None and learner.keep_optimizer else None
        state, zero, none = begin_state(learner, knowledge, kept), count_of(0), jnp.int32(0)
        return Run(state, None, None, key, zero, zero, zero, zero, zero, none, none)

    return jax.vmap(one)(keys, prior)


@functools.partial(jax.jit, static_argnames="learner")
def enter(learner: Learner, tasks: Task, run: Run, budget: Count | None = None) -> Run:
    """-> the runs with fresh worlds to act in, and a memory where the learner keeps one.

    A live env begins no episode for a seed that has spent its `budget`, where there is one. Raises InputError where a
    task should wait for others, and cannot.
    """
    if (learner.replay.spare > 1 or learner.allot is not None) and tasks.env.live:
        raise InputError(
            f"{tasks.env.name} is somebody else's environment, which cannot wait for another to go on; "
            "choose a method whose tasks all play in every step."
        )

    def one(run: Run) -> Run:
        key, k_start = jax.random.split(run.key)
        shape, wanted = (count(tasks), learner.replay.copies), None
        if budget is not None:
            wanted = jnp.broadcast_to(run.steps.less(budget), shape)
        return run.replace(worlds=start(learner, tasks, learner.replay.copies, k_start, wanted), key=key)

    return jax.vmap(one)(remembering(learner, tasks, run))


def nothing(learner: Learner, tasks: Task, run: Run, budget: Count) -> Tally:
    """-> the tally of no turns [seed]."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), run)
    shapes = jax.eval_shape(lambda run: iterate(learner, tasks, run, budget)[1], one)
    none = {name: jnp.zeros((*run.owed.shape, *like.shape)) for name, like in shapes.items()}
    return {name: (x, x) for name, x in none.items()}


@functools.partial(compiled, donate_argnames="run")
def advance(
    learner: Learner, tasks: Task, run: Run, turns: Array, budget: Count, tally: Tally | None = None
) -> tuple[Run, Tally]:
    """`turns` turns of the loop for all seeds -> runs, and what they add to the tally. One compile for any number."""

    def turn(_, carry: tuple[Run, Tally]) -> tuple[Run, Tally]:
        run, tally = carry
        after, metrics = jax.vmap(lambda run: iterate(learner, tasks, run, budget))(run)
        learned = after.state.taken != run.state.taken
        there = {name: ~jnp.isnan(x) if name == "return" else learned for name, x in metrics.items()}
        tally = {
            name: (tally[name][0] + jnp.where(there[name], x, 0.0), tally[name][1] + there[name])
            for name, x in metrics.items()
        }
        return after, tally

    return jax.lax.fori_loop(0, turns, turn, (run, nothing(learner, tasks, run, budget) if tally is None else tally))


def shoot(learner: Learner, tasks: Task, run: Run, episodes: Array, budget: Count) -> tuple[Run, Metrics]:
    """Spend just so many whole episodes in each task, and learn from them -> runs, metrics [seed].

    `learner.replay.length` must be the horizon and `episodes` at most `learner.replay.copies`. Off-policy learners
    remember them, unless they draw segments: these lie by copies, of which there are others afterwards.
    """
    run = remembering(learner, tasks, run) if learner.replay.segment == 1 else run
    return _shoot(learner, tasks, run, episodes, budget)


@compiled
def _shoot(learner: Learner, tasks: Task, run: Run, episodes: Array, budget: Count) -> tuple[Run, Metrics]:
    return jax.vmap(lambda run: iterate(learner, tasks, run, budget, episodes))(run)


def train(
    learner: Learner,
    tasks: Task,
    steps: int,
    keys: Key,
    prior: TrainState | None = None,
    points: int = 20,
    journal: Journal | None = None,
) -> Iterator[Point]:
    """Yields about `points` Points on the way; logging, saving, judging and stopping are the caller's `for` loop.

    `tasks` has a leading task axis, `keys` (and a `prior`) a leading seed axis. At least `steps` environment steps
    are taken, rounded up to whole rollouts. What `journal` holds of it is not learned anew: points come from there on,
    the last one in any case.
    """
    budget, turns = count_of(steps), turns_for(learner, tasks, steps)
    fresh = lambda: enter(learner, tasks, begin(learner, keys, prior))
    left = None if journal is None else journal.left(_shapes(learner, tasks, fresh, budget), turns)
    if left is not None and left.turns >= turns:
        yield point(left.run, means(left.tally))
        return
    if left is not None and left.run.worlds is None:
        left = left._replace(run=_anew(learner, tasks, left.run))
    run = fresh() if left is None else left.run
    for later, metrics in go_on(learner, tasks, run, turns, budget, points, journal, left):
        yield point(later, metrics)


def _shapes(learner: Learner, tasks: Task, fresh: Callable[[], Run], budget: Count) -> Left:
    """-> the shapes of what is kept of a training."""
    keeps = lambda run: (_lasting(tasks, run), nothing(learner, tasks, run, budget))
    run, tally = jax.eval_shape(lambda: keeps(fresh()))
    return Left(run, tally, 0)


def _lasting(tasks: Task, run: Run) -> Run:
    """-> what outlasts this process."""
    return run.replace(worlds=None) if tasks.env.live else run


def _anew(learner: Learner, tasks: Task, run: Run) -> Run:
    """-> the runs in fresh worlds; what was remembered of those before is no episode that goes on there."""
    memory = run.memory
    if memory is not None and learner.replay.segment > 1:
        memory = jax.vmap(lambda memory: memories.break_off(memory, learner.replay.copies))(memory)
    return enter(learner, tasks, run.replace(memory=memory))


def go_on(
    learner: Learner,
    tasks: Task,
    run: Run,
    turns: int,
    budget: Count,
    points: int,
    journal: Journal | None = None,
    left: Left | None = None,
) -> Iterator[tuple[Run, Metrics]]:
    """Yields runs that have entered their worlds at about `points` points of `turns` turns, and their metrics.

    Going on takes a run's memory over: copy what is to be kept of it. In the end the worlds are left.
    """
    journal, none = journal or Journal(), nothing(learner, tasks, run, budget)
    begun = copied(run.worlds) if tasks.env.live else None  # a turn that is broken off has taken the run's own over
    done, tally = (0, none) if left is None else (left.turns, left.tally)
    try:
        for until in sorted({round(turns * i / points) for i in range(1, points + 1)}):
            while done < until:
                stretch = min(journal.stretch(until - done), until - done, STRETCH)
                run, tally = advance(learner, tasks, run, jnp.int32(stretch), budget, tally)
                done += stretch
                if done == until:
                    yield run, means(tally)
                    tally = tally if done == turns else none
                # after the point: what its reader made of it belongs to what is kept
                journal.look(Left(_lasting(tasks, run), tally, done), turns)
    finally:
        if begun is not None:
            _dismiss(tasks, begun)


@jax.jit
def _dismiss(tasks: Task, worlds: World) -> None:
    jax.vmap(lambda worlds: leave(tasks, worlds))(worlds)
