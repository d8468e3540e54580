"""One iteration of the training loop, of one seed: gather, prepare, store, update."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from headstart.core import memory as memories
from headstart.core.counting import Count
from headstart.core.learn import Reported, run_updates
from headstart.core.memory import Memory
from headstart.core.rollout import EnvState, active_envs, close_envs, num_tasks, reset_envs, rollout
from headstart.core.run import LoopState
from headstart.core.types import Info, Key, Learner, Metrics, Params, Task, Tasks, Transition, group_key, groups


class Gathered(NamedTuple):
    """What an iteration gathers: for each group of tasks, and for all of them."""

    env_states: tuple[EnvState | None, ...]
    fresh: tuple[Transition, ...]
    active: Bool[Array, ""]  # whether the seed has not spent its budget


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, though called twice
def train_step(
    learner: Learner,
    tasks: Tasks,
    run: LoopState,
    budget: Count,
    episodes: Array | None = None,
    offline: tuple[Memory, ...] | None = None,
) -> tuple[LoopState, Metrics, Reported]:
    """Runs one iteration of the loop for one seed. Returns its state, metrics, and which of them were reported.

    With `episodes`, it uses fresh environments and only so many whole episodes of each task. `offline` is logged
    experience of each group of tasks, which phases may draw from.

    A seed that has spent its budget stays as it is: its transitions have weight 0, and it runs no updates. In a
    stateful env it takes no steps.
    """
    key, k_reset, k_play, k_prepare, k_learn = jax.random.split(run.key, 5)
    progress, replay = run.steps.share(budget), learner.replay
    env_states, fresh, active = _gather(learner, tasks, run, budget, episodes, Info(k_reset, progress), k_play)
    params, rows = _prepare(learner, tasks, run, fresh, Info(k_prepare, progress))
    state, memory, pending = run.state.replace(params=params), run.memory, run.pending_updates
    metrics, reported = {}, {}
    if learner.phases:
        memory = _remember(memory, rows)
        gathered = jnp.stack([x.weight.sum((1, 2)).max() for x in fresh]).max()  # by the task with the most
        info = Info(k_learn, progress)
        state, pending, metrics, reported = run_updates(
            learner, tasks, state, memory, gathered.astype(jnp.int32), pending, info, active, offline
        )
    run = run.counted(fresh, state.updates - run.state.updates).replace(
        state=state,
        env_states=None if episodes is not None else env_states,
        memory=None if run.memory is None else memory,
        key=key,
        pending_updates=pending,
        steps_since_target=(run.steps_since_target + replay.num_steps) % replay.source_steps_per_target_step,
    )
    return run, *_with_return(fresh, metrics, reported)


def _with_return(fresh: tuple[Transition, ...], metrics: Metrics, reported: Reported) -> tuple[Metrics, Reported]:
    """Returns the metrics with the mean return of the episodes that ended, which is reported if one did."""
    ended = sum(((x.weight * x.last).sum() for x in fresh), jnp.zeros(()))
    returns = [jnp.where(x.last & (x.weight > 0), x.episode_return, 0.0).sum() for x in fresh]
    return {**metrics, "return": sum(returns, jnp.zeros(())) / ended}, {**reported, "return": ended > 0}


def _prepare(
    learner: Learner, tasks: Tasks, run: LoopState, fresh: tuple[Transition, ...], info: Info
) -> tuple[Params, tuple[Transition, ...]]:
    """Returns the params and the rows of each group after `Learner.prepare`, one group after another."""
    params, rows = run.state.params, []
    for g, (group, transitions) in enumerate(zip(groups(tasks), fresh, strict=True)):
        own = info._replace(key=group_key(info.key, g), updates=run.state.updates, task=group)
        params, prepared = learner.prepare(params, transitions, own)
        rows.append(prepared)
    return params, tuple(rows)


def _remember(memory: tuple[Memory, ...] | None, rows: tuple[Transition, ...]) -> tuple[Memory, ...]:
    """Returns the memory of each group with its new rows; on-policy, of these alone."""
    if memory is None:
        return tuple(map(memories.from_rollout, rows))
    return tuple(map(memories.add, memory, rows))


def _gather(
    learner: Learner, tasks: Tasks, run: LoopState, budget: Count, episodes: Array | None, info: Info, k_play: Key
) -> Gathered:
    """Runs a rollout in each group. The key of `info` resets environments."""
    under_way = jnp.array(True) if episodes is not None else run.steps.less(budget)
    each = []
    for g, group in enumerate(groups(tasks)):
        env_states = None if run.env_states is None else run.env_states[g]
        k_group = group_key(k_play, g)
        own = info._replace(key=group_key(info.key, g), updates=run.state.updates, task=group)
        each.append(_gather_group(learner, group, run, env_states, under_way, episodes, own, k_group))
    env_states, fresh = zip(*each, strict=True)
    return Gathered(env_states, fresh, under_way)


def _gather_group(
    learner: Learner,
    tasks: Task,
    run: LoopState,
    env_states: EnvState | None,
    under_way: Array,
    episodes: Array | None,
    info: Info,
    k_play: Key,
) -> tuple[EnvState | None, Transition]:
    """Returns the env states of a group after a rollout, and its transitions with their weight."""
    replay, params = learner.replay, run.state.params
    play = functools.partial(rollout, learner, params, tasks)
    active = active_envs(learner, params, tasks, run.steps_since_target, info)
    if episodes is not None:
        single = jnp.broadcast_to(jnp.arange(replay.num_envs) < episodes, (num_tasks(tasks), replay.num_envs))
        env_states = reset_envs(learner, tasks, replay.num_envs, info.key, single)
        env_states, fresh = play(env_states, info._replace(key=k_play), replay.num_steps, active, single)
        close_envs(tasks, env_states)
        return None, fresh
    if tasks.env.stateful:  # its steps happen outside of the program too
        active = jnp.broadcast_to(under_way, (num_tasks(tasks), replay.num_steps, replay.num_envs))
    assert env_states is not None
    env_states, fresh = play(env_states, info._replace(key=k_play), replay.num_steps, active)
    return env_states, fresh.replace(weight=fresh.weight * under_way)
