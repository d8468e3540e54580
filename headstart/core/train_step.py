"""One iteration of the training loop, of one seed: gather, prepare, store, update."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core import memory as memories
from headstart.core.counting import Count
from headstart.core.learn import Reported, run_updates
from headstart.core.rollout import EnvState, active_envs, close_envs, num_tasks, reset_envs, rollout
from headstart.core.run import LoopState
from headstart.core.types import Info, Key, Learner, Metrics, Task, Transition


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, though called twice
def train_step(
    learner: Learner,
    tasks: Task,
    run: LoopState,
    budget: Count,
    whole: Array | None = None,
    offline: memories.Memory | None = None,
) -> tuple[LoopState, Metrics, Reported]:
    """Runs one iteration of the loop for one seed. Returns its state, metrics, and which of them were reported.

    With `whole`, it uses fresh environments and only so many whole episodes of each task. `offline` is logged
    experience, which phases may draw from.

    A seed that has spent its budget stays as it is: its transitions have weight 0, and it runs no updates. In a
    stateful env it takes no steps.
    """
    key, k_reset, k_play, k_prepare, k_learn = jax.random.split(run.key, 5)
    progress, state, replay = run.steps.share(budget), run.state, learner.replay
    env_states, fresh, active = _gather(learner, tasks, run, budget, whole, k_reset, k_play, progress)
    ends = fresh.weight * fresh.last
    total = jnp.where(fresh.last & (fresh.weight > 0), fresh.episode_return, 0.0).sum()

    params, rows = learner.prepare(state.params, fresh, Info(k_prepare, progress, 1.0, state.updates, tasks))
    state = state.replace(params=params)
    memory, metrics, reported, pending = run.memory, {}, {}, run.pending_updates
    if learner.phases:
        memory = memories.from_rollout(rows) if memory is None else memories.add(memory, rows)
        gathered = fresh.weight.sum((1, 2)).max().astype(jnp.int32)  # by the task with the most
        info = Info(k_learn, progress, task=tasks)
        state, pending, metrics, reported = run_updates(
            learner, state, memory, gathered, pending, info, active, offline
        )
    run = run.counted(fresh, state.updates - run.state.updates).replace(
        state=state,
        env_states=env_states,
        memory=None if run.memory is None else memory,
        key=key,
        pending_updates=pending,
        steps_since_target=(run.steps_since_target + replay.num_steps) % replay.source_steps_per_target_step,
    )
    ended = ends.sum()
    return run, {**metrics, "return": total / ended}, {**reported, "return": ended > 0}


def _gather(
    learner: Learner,
    tasks: Task,
    run: LoopState,
    budget: Count,
    whole: Array | None,
    k_reset: Key,
    k_play: Key,
    progress: Array,
) -> tuple[EnvState | None, Transition, Array]:
    """Returns the env states after a rollout, its transitions with their weight, and whether the seed is active."""
    replay, params = learner.replay, run.state.params
    info = Info(k_play, progress, 1.0, run.state.updates)
    play = functools.partial(rollout, learner, params, tasks)
    active = active_envs(learner, params, tasks, run.steps_since_target, info._replace(key=k_reset))
    if whole is not None:
        single = jnp.broadcast_to(jnp.arange(replay.num_envs) < whole, (num_tasks(tasks), replay.num_envs))
        env_states = reset_envs(learner, tasks, replay.num_envs, k_reset, single)
        env_states, fresh = play(env_states, info, replay.num_steps, active, single)
        close_envs(tasks, env_states)
        return None, fresh, jnp.array(True)
    under_way = run.steps.less(budget)
    if tasks.env.stateful:  # its steps happen outside of the program too
        active = jnp.broadcast_to(under_way, (num_tasks(tasks), replay.num_steps, replay.num_envs))
    assert run.env_states is not None
    env_states, fresh = play(run.env_states, info, replay.num_steps, active)
    return env_states, fresh.replace(weight=fresh.weight * under_way), under_way
