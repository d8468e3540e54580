"""Rollouts: a learner gathers experience in its environments, or is evaluated in them."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from headstart.core.episode import Episode, episode_parameters, observe, reset, step
from headstart.core.types import Box, Info, Key, Learner, Params, PyTree, Record, Task, Transition


class EnvState(Record):
    """The state of one environment of a rollout: its episode, and what the policy remembers of it."""

    episode: Episode
    carry: PyTree  # by `Learner.init_carry`, `act` and `update_carry`


def num_tasks(tasks: Task) -> int:
    """Returns K, the length of the leading axis of stacked tasks."""
    return tasks.w.shape[0]


def reset_envs(
    learner: Learner, tasks: Task, num_envs: int, key: Key, wanted: Bool[Array, "task env"] | None = None
) -> EnvState:
    """Returns environments at their first step [task, env]; undefined where they are not `wanted`."""

    def one(task: Task, key: Key, wanted: Array | None) -> EnvState:
        k_reset, k_carry = jax.random.split(key)
        episode = reset(task, k_reset, wanted)
        return EnvState(episode, learner.init_carry(episode_parameters(task, episode), Info(k_carry, task=task)))

    keys = jax.random.split(key, (num_tasks(tasks), num_envs))
    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))(tasks, keys, wanted)


def close_envs(tasks: Task, env_states: EnvState) -> None:
    """Closes environments [task, env] that stand for something outside of the program."""
    jax.vmap(jax.vmap(tasks.env.close))(env_states.episode.state)


def rollout(
    learner: Learner,
    params: Params,
    tasks: Task,
    env_states: EnvState,
    info: Info,
    num_steps: int,
    active: Bool[Array, "task time env"] | None = None,
    single_episode: Bool[Array, "task env"] | None = None,
) -> tuple[EnvState, Transition]:
    """Steps all environments `num_steps` times. Returns their states and the transitions [task, time, env].

    Environments that are not `active` in a step stay as they are. Their transitions have weight 0, their current
    observation, and zeros elsewhere. Environments in `single_episode` are inactive from the end of their episode on,
    and those that are not in it are inactive throughout; None means that finished environments reset.
    """
    step_env = functools.partial(_step_env, learner, params, info, single_episode is None)

    def tick(now: tuple[EnvState, Array | None], given: tuple[Key, Array | None]):
        (env_states, alive), (keys, active) = now, given
        if alive is not None:
            active = alive if active is None else alive & active
        env_states, seen = jax.vmap(jax.vmap(step_env, in_axes=(None, 0, 0, 0)))(tasks, env_states, keys, active)
        return (env_states, None if alive is None else alive & ~seen.last), (seen, active)

    shape = (num_steps, env_states.episode.time.shape[1], 3)  # keys of a task: of each step, of each environment
    keys = jax.vmap(lambda key: jax.random.split(key, shape))(jax.random.split(info.key, num_tasks(tasks)))
    swap = lambda tree: jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), tree)  # [task, time] and [time, task]
    (env_states, _), (transitions, was_active) = jax.lax.scan(tick, (env_states, single_episode), swap((keys, active)))
    return env_states, _with_task_labels(swap(transitions), tasks, swap(was_active))


def _step_env(
    learner: Learner,
    params: Params,
    info: Info,
    auto_reset: bool,
    task: Task,
    env_state: EnvState,
    keys: Key,
    active: Bool[Array, ""] | None,
) -> tuple[EnvState, Transition]:
    """Returns an environment one step on, and the transition. Unless it is `active`, it stays as it is."""
    k_act, k_step, k_carry = keys
    obs, before = observe(task, env_state.episode), env_state.episode
    action, carry, extras = learner.act(params, env_state.carry, obs, task.context, info._replace(key=k_act, task=task))
    if active is not None:
        before = before.replace(state=_where(active, before.state, task.env.idle(before.state)))
        if isinstance(task.env.action_space, Box):
            action = jnp.where(active, action, jnp.nan)  # MuJoCo skips environments whose action is NaN
    episode, seen = step(task, before, action, k_step, auto_reset)
    seen = seen.replace(extras=extras)
    carry = learner.update_carry(carry, seen)
    if auto_reset:
        first = learner.init_carry(episode_parameters(task, episode), info._replace(key=k_carry, task=task))
        carry = _where(seen.last, first, carry)
    after = EnvState(episode, carry)
    if active is None:
        return after, seen
    return _where(active, after, env_state), _where(active, seen, _inactive(seen))


def _where(which: Bool[Array, ""], a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(functools.partial(jnp.where, which), a, b)


def _inactive(seen: Transition) -> Transition:
    """Returns the transition of an inactive environment: the observation, and zeros."""
    return jax.tree.map(jnp.zeros_like, seen).replace(obs=seen.obs)


def _with_task_labels(transitions: Transition, tasks: Task, active: Array | None) -> Transition:
    """Returns transitions [task, time, env] with what is equal at every step, which the loop need not store."""
    shape = transitions.reward.shape
    at_each_step = lambda x: jnp.broadcast_to(x[:, None, None], (*shape, *x.shape[1:]))
    weight = jnp.ones(shape) if active is None else active.astype(jnp.float32)
    return transitions.replace(context=at_each_step(tasks.context), domain=at_each_step(tasks.domain), weight=weight)


def active_envs(
    learner: Learner, params: Params, tasks: Task, steps_since_target: Array, info: Info
) -> Bool[Array, "task time env"] | None:
    """Returns which environments are active in which step of a rollout; None where all are.

    Tasks of the target domain are active in every `source_steps_per_target_step`-th step only, counted over rollouts.
    A learner may allocate the environments of a rollout to tasks (`allocate_envs`).
    """
    replay = learner.replay
    num_steps, num_envs, period = replay.num_steps, replay.num_envs, replay.source_steps_per_target_step
    if learner.allocate_envs is None and period == 1:
        return None
    shape = (num_tasks(tasks), num_steps, num_envs)
    due = (tasks.domain[:, None] == 0) | ((jnp.arange(num_steps) + steps_since_target) % period == 0)[None]
    everything = jnp.full(num_tasks(tasks), num_envs)
    allocated = everything if learner.allocate_envs is None else learner.allocate_envs(params, info)
    chosen = jnp.arange(num_envs)[None] < allocated[:, None]
    return jnp.broadcast_to(due[:, :, None] & chosen[:, None], shape)


@functools.partial(jax.jit, static_argnames=("learner", "episodes"))
def evaluate(learner: Learner, params: Params, tasks: Task, episodes: int, keys: Key) -> Array:
    """Returns undiscounted returns of the deterministic policy [seed, task, episode], one episode per environment.

    `params` and `keys` have a leading seed axis. Equal keys evaluate two policies in the same episodes.
    """

    def play(params: Params, env_states: EnvState, returns: Array, alive: Array, key: Key):
        key, k_play = jax.random.split(key)
        info = Info(k_play, 1.0, 0.0)
        env_states, seen = rollout(learner, params, tasks, env_states, info, 1, single_episode=alive)
        return env_states, returns + seen.reward[:, 0], alive & ~seen.last[:, 0], key

    k_reset, k_play = jax.vmap(jax.random.split, out_axes=1)(keys)
    env_states = jax.vmap(lambda key: reset_envs(learner, tasks, episodes, key))(k_reset)
    zeros = jnp.zeros((len(keys), num_tasks(tasks), episodes))
    any_alive = lambda now: now[2].any()  # the horizon ends every episode
    play_on = lambda now: jax.vmap(play)(params, *now)  # the loop is outside of the seeds' vmap: none runs on alone
    env_states, returns, *_ = jax.lax.while_loop(any_alive, play_on, (env_states, zeros, zeros == 0.0, k_play))
    jax.vmap(lambda env_states: close_envs(tasks, env_states))(env_states)
    return returns
