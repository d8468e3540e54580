"""A learner in its worlds: gathering experience, and being judged."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from headstart.core.episode import Episode, episode_parameters, observe, reset, step
from headstart.core.types import Box, Key, Knowledge, Learner, PyTree, Record, Task, Transition


class EnvState(Record):
    """One copy: its episode, and what the policy remembers of it."""

    episode: Episode
    carry: PyTree  # of this episode, by `Learner.begin`, `act` and `remember`


def num_tasks(tasks: Task) -> int:
    """-> K, the length of the leading axis of stacked tasks."""
    return tasks.w.shape[0]


def reset_envs(
    learner: Learner, tasks: Task, num_envs: int, key: Key, wanted: Bool[Array, "task copy"] | None = None
) -> EnvState:
    """-> worlds at their first step [task, copy]; of no meaning where they are not `wanted`."""

    def one(task: Task, key: Key, wanted: Array | None) -> EnvState:
        k_reset, k_begin = jax.random.split(key)
        episode = reset(task, k_reset, wanted)
        return EnvState(episode, learner.init_carry(k_begin, episode_parameters(task, episode)))

    keys = jax.random.split(key, (num_tasks(tasks), num_envs))
    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))(tasks, keys, wanted)


def close_envs(tasks: Task, worlds: EnvState) -> None:
    """Let worlds [task, copy] go: what they stand for outside of the program is given back, where there is anything."""
    jax.vmap(jax.vmap(tasks.env.close))(worlds.episode.state)


def rollout(
    learner: Learner,
    knowledge: Knowledge,
    tasks: Task,
    worlds: EnvState,
    key: Key,
    explore: Array | float,
    num_steps: int,
    active: Bool[Array, "task time copy"] | None = None,
    single_episode: Bool[Array, "task copy"] | None = None,
) -> tuple[EnvState, Transition]:
    """-> the worlds `length` steps on, and fresh experience [task, time, copy].

    `plays` says who takes part in which step (None: all in all). Other worlds are idle: they stay as they are in it,
    and what is handed over of them has no weight: what they show, and zeros. Where `once` says who plays at all, each
    world is idle from the end of its episode on.
    """
    on = functools.partial(_step_env, learner, knowledge, explore, single_episode is None)

    def tick(now: tuple[EnvState, Array | None], given: tuple[Key, Array | None]):
        (worlds, alive), (keys, playing) = now, given
        if alive is not None:
            playing = alive if playing is None else alive & playing
        worlds, seen = jax.vmap(jax.vmap(on, in_axes=(None, 0, 0, 0)))(tasks, worlds, keys, playing)
        return (worlds, None if alive is None else alive & ~seen.last), (seen, playing)

    each = (num_steps, worlds.episode.time.shape[1], 3)  # keys of a task: of each step, of each copy
    keys = jax.vmap(lambda key: jax.random.split(key, each))(jax.random.split(key, num_tasks(tasks)))
    first = lambda tree: jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), tree)  # time, which stands after the task
    (worlds, _), (fresh, played) = jax.lax.scan(tick, (worlds, single_episode), first((keys, active)))
    return worlds, _with_task_labels(first(fresh), tasks, first(played))


def _step_env(
    learner: Learner,
    knowledge: Knowledge,
    explore: Array | float,
    renew: bool,
    task: Task,
    world: EnvState,
    keys: Key,
    playing: Bool[Array, ""] | None,
) -> tuple[EnvState, Transition]:
    """Returns a world one step on, in a new episode where one ended and `renew`; as it was unless it is `playing`."""
    k_act, k_step, k_begin = keys
    obs, before = observe(task, world.episode), world.episode
    action, carry, extras = learner.act(knowledge, world.carry, obs, task.context, k_act, explore)
    if playing is not None:
        before = before.replace(state=_where(playing, before.state, task.env.idle(before.state)))
        if isinstance(task.env.action_space, Box):
            action = jnp.where(playing, action, jnp.nan)  # what is no number, MuJoCo does not step
    episode, seen = step(task, before, action, k_step, renew)
    seen = seen.replace(extras=extras)
    carry = learner.update_carry(carry, seen)
    if renew:
        carry = _where(seen.last, learner.init_carry(k_begin, episode_parameters(task, episode)), carry)
    after = EnvState(episode, carry)
    return (after, seen) if playing is None else _or_idle(playing, world, after, seen)


def _where(which: Bool[Array, ""], a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(functools.partial(jnp.where, which), a, b)


def _or_idle(plays: Array, before: EnvState, after: EnvState, seen: Transition) -> tuple[EnvState, Transition]:
    """-> what came of a step; where it was not this world's, the world as it was and what it shows."""
    return _where(plays, after, before), _where(plays, seen, jax.tree.map(jnp.zeros_like, seen).replace(obs=seen.obs))


def _with_task_labels(fresh: Transition, tasks: Task, plays: Array | None) -> Transition:
    """-> the same [task, time, copy], and what of it the loop need not write down: it is the same at every step."""
    at_each = lambda x: jnp.broadcast_to(x[:, None, None], (*fresh.reward.shape, *x.shape[1:]))
    weight = jnp.ones(fresh.reward.shape) if plays is None else plays.astype(jnp.float32)
    return fresh.replace(context=at_each(tasks.context), domain=at_each(tasks.domain), weight=weight)


def active_envs(
    learner: Learner, knowledge: Knowledge, tasks: Task, waited: Array, key: Key
) -> Bool[Array, "task time copy"] | None:
    """-> who takes part in which step of a rollout: all (None), or as the learner shares turns out among tasks.

    Tasks of the target domain play just every `replay.spare`-th step, of which they have `waited` so many.
    """
    length, copies, spare = (
        learner.replay.num_steps,
        learner.replay.num_envs,
        learner.replay.source_steps_per_target_step,
    )
    if learner.allocate_envs is None and spare == 1:
        return None
    shape = (num_tasks(tasks), length, copies)
    turn = (tasks.domain[:, None] == 0) | ((jnp.arange(length) + waited) % spare == 0)[None]
    allotted = (
        jnp.full(num_tasks(tasks), copies) if learner.allocate_envs is None else learner.allocate_envs(knowledge, key)
    )
    chosen = jnp.arange(copies)[None] < allotted[:, None]
    return jnp.broadcast_to(turn[:, :, None] & chosen[:, None], shape)


@functools.partial(jax.jit, static_argnames=("learner", "episodes"))
def evaluate(learner: Learner, knowledge: Knowledge, tasks: Task, episodes: int, keys: Key) -> Array:
    """Undiscounted returns of the deterministic policy, one whole episode a copy -> [seed, task, episode].

    `knowledge` and `keys` have a leading seed axis; equal keys judge two policies in the same episodes.
    """

    def play(knowledge: Knowledge, worlds: EnvState, returns: Array, alive: Array, key: Key):
        key, k_play = jax.random.split(key)
        worlds, fresh = rollout(learner, knowledge, tasks, worlds, k_play, 0.0, 1, single_episode=alive)
        return worlds, returns + fresh.reward[:, 0], alive & ~fresh.last[:, 0], key

    def more(judged: tuple[EnvState, Array, Array, Key]) -> Array:
        return judged[2].any()  # at the horizon at last, every episode ends

    k_start, k_play = jax.vmap(jax.random.split, out_axes=1)(keys)
    worlds = jax.vmap(lambda key: reset_envs(learner, tasks, episodes, key))(k_start)
    none = jnp.zeros((len(keys), num_tasks(tasks), episodes))
    on = lambda judged: jax.vmap(play)(knowledge, *judged)
    worlds, returns, *_ = jax.lax.while_loop(more, on, (worlds, none, none == 0.0, k_play))
    jax.vmap(lambda worlds: close_envs(tasks, worlds))(worlds)
    return returns
