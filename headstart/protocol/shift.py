"""Measures the shift between two tasks: do they differ, and by which parameter?

Both tasks step the same actions from the same states, so that an effect of exactly 0 means that no step differed. Host
envs cannot be reset to a state; they step the same actions from equal initial states.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.episode import Episode, episode_parameters, observe, reset, reset_next, step_once
from headstart.core.interrupts import reraising
from headstart.core.rollout import evaluate
from headstart.core.types import Box, Info, Key, Learner, Params, PyTree, Record, Task, spec, stack
from headstart.learners.uniform import StickyRandom, Uniform
from headstart.protocol.checks import check_env
from headstart.tasks.registry import aligned, value_of

NUM_ENVS, STEPS, EPISODES = 32, 50, 16
NEGLIGIBLE = 1e-6  # smaller effects are rounding


class Effect(NamedTuple):
    """Effect sizes between two tasks (0: no difference). All but `termination` are in standard deviations."""

    initial: float  # first observations of equal draws, in standard deviations of the source's first observations
    next_state: float  # next observations, in standard deviations of the source's one-step changes
    reward: float  # rewards, in standard deviations of the source's rewards
    termination: float  # share of the steps that end the episode in one of the two tasks only
    returns: float  # the random policy's mean return (Cohen's d; the sign says where it is higher: + the target)

    @property
    def size(self) -> float:
        """The largest of the effects, whatever its sign; infinite where one is not a number."""
        return float(np.nan_to_num(np.abs(np.array(self)), nan=np.inf).max())

    @property
    def differs(self) -> bool:
        return self.size > NEGLIGIBLE


class Shift(NamedTuple):
    """The shift of all changes together, and of each changed parameter alone."""

    combined: Effect
    parameters: dict[str, Effect]
    values: dict[str, tuple[str, str]]  # each changed parameter's value in source and target
    same: bool = False  # whether all parameters and the reward are equal
    constant: tuple[str, ...] = ()  # observation components that are constant in the source and differ in the target
    along_policy: bool = False  # whether a trained policy was run, too
    broken: str | None = None  # why there is no result: an env failed

    @property
    def differs(self) -> bool:
        """Whether a difference was found. If not, the tasks may still differ in states that were not visited."""
        return self.combined.differs


def broken_shift(broken: str) -> Shift:
    """Returns a shift without results, for a failed env."""
    return Shift(Effect(*[float("nan")] * len(Effect._fields)), {}, {}, broken=broken)


class Policy(NamedTuple):
    """A trained policy to run in addition to random ones."""

    learner: Learner  # built for the source's observations, actions and context
    params: Params  # of one seed


@reraising()
def shift(source: Task, target: Task, key: Key, policy: Policy | None = None) -> Shift:
    """Returns the effect of all differences between two tasks of one env, and of each changed parameter alone.

    Half of the episodes draw a random action at each step, and half repeat a random action for several steps. `policy`
    runs as many more. Raises InputError if the tasks are of different envs, and BrokenEnvError if one fails.
    """
    source, target = aligned([source, target])
    target = target.replace(context=source.context)  # so that all variants share one compiled program
    values = {name: (value_of(source, name), value_of(target, name)) for name in target.params}
    changed = [name for name, (a, b) in values.items() if a != b]
    variants = [target]
    for name in changed:
        variants.append(source.replace(params={**source.params, name: target.params[name]}))
    source.env.pop_failures()  # clear earlier failures
    with source.env.closing_on_error():
        pairs = [_paired_steps(source, variant, key, policy) for variant in variants]
    source_returns, *target_returns = [random_returns(task, key) for task in (source, *variants)]
    effects = [_effect(one, source_returns, returns) for one, returns in zip(pairs, target_returns, strict=True)]
    check_env(source.env)
    same = not changed and np.array_equal(source.w, target.w)
    by_parameter, values = dict(zip(changed, effects[1:], strict=True)), {name: values[name] for name in changed}
    return Shift(effects[0], by_parameter, values, same, _constant(source, pairs[0]), policy is not None)


def _effect(pairs: "Pairs", source_returns: np.ndarray, target_returns: np.ndarray) -> Effect:
    spread = np.sqrt(0.5 * (source_returns.var(ddof=1) + target_returns.var(ddof=1)))
    return Effect(
        initial=_apart(pairs.first, pairs.first_target, _spread(pairs.first)),
        next_state=_apart(pairs.next_obs, pairs.next_obs_target, _spread(pairs.next_obs - pairs.obs)),
        reward=_apart(pairs.reward, pairs.reward_target, _spread(pairs.reward)),
        termination=float(np.abs(pairs.end - pairs.end_target).mean()),
        returns=float((target_returns.mean() - source_returns.mean()) / max(spread, 1e-8)),
    )


class Pairs(Record):
    """Steps of the same actions in both tasks."""

    first: Array  # [episode, observation]
    first_target: Array
    obs: Array  # [row, observation]
    next_obs: Array
    next_obs_target: Array
    reward: Array  # [row, 1]
    reward_target: Array
    end: Array  # [row, 1], 1 where the episode ended
    end_target: Array


def _paired_steps(source: Task, target: Task, key: Key, policy: Policy | None) -> Pairs:
    """Returns the steps of the random policies and of `policy`."""
    players = [
        Policy(StickyRandom().learner(spec(stack([source]))), {}),
        *([] if policy is None else [policy]),
    ]
    pairs = [_side_by_side(player.learner, player.params, source, target, key) for player in players]
    return jax.tree.map(lambda *rows: np.concatenate(rows), *pairs)


@jax.jit(static_argnames="learner")
def _side_by_side(learner: Learner, params: Params, source: Task, target: Task, key: Key) -> Pairs:
    env = source.env

    def episode(key: Key, explore: Array) -> Pairs:
        k_start, k_begin, k_play = jax.random.split(key, 3)
        starts = [reset(task, k_start) for task in (source, target)]
        first, first_target = (observe(task, start) for task, start in zip((source, target), starts, strict=True))
        carry = learner.init_carry(episode_parameters(source, starts[0]), Info(k_begin))

        def step(now: tuple[list[Episode], PyTree], key: Key):
            (here, there), carry = now
            k_act, k_step, k_again, k_begin = jax.random.split(key, 4)
            obs = observe(source, here)
            action, carry, extras = learner.act(params, carry, obs, source.context, Info(k_act, explore=explore))
            (here, a), (there, b) = step_once(source, here, action, k_step), step_once(target, there, action, k_step)
            carry = learner.update_carry(carry, a.replace(extras=extras))
            nexts, done = _next_episodes((source, target), (here, there), a.last, b.last, k_again)
            new_carry = learner.init_carry(episode_parameters(source, nexts[0]), Info(k_begin))
            carry = jax.tree.map(lambda new, old: jnp.where(done, new, old), new_carry, carry)
            return (nexts, carry), (
                obs,
                a.next_obs,
                b.next_obs,
                *(x[None] for x in (a.reward, b.reward, a.last, b.last)),
            )

        starts = starts if env.stateful else [starts[0], starts[1].replace(state=starts[0].state)]
        (ends, _), pairs = jax.lax.scan(step, (starts, carry), jax.random.split(k_play, STEPS))
        for episode in ends:
            env.close(episode.state)
        return Pairs(first, first_target, *pairs)

    pairs = jax.vmap(episode)(jax.random.split(key, NUM_ENVS), jnp.arange(NUM_ENVS) % 2.0)
    rows = {name: NUM_ENVS if name.startswith("first") else NUM_ENVS * STEPS for name in vars(pairs)}
    return Pairs(**{name: getattr(pairs, name).reshape(n, -1).astype(jnp.float32) for name, n in rows.items()})


def _next_episodes(
    tasks: tuple[Task, Task], episodes: tuple[Episode, Episode], ended: Array, ended_target: Array, key: Key
) -> tuple[list[Episode], Array]:
    """Returns the episodes that source and target step next, and whether they are new.

    Both continue from the state of the source. Host envs cannot do that: each continues from its own state, so that
    differences accumulate. Both reset if either episode ended.
    """
    here, there = episodes
    stateful = tasks[0].env.stateful
    done = ended | ended_target if stateful else ended
    there = there if stateful else there.replace(state=here.state)
    next_episodes = [
        reset_next(task, episode.state, done, key) for task, episode in zip(tasks, (here, there), strict=True)
    ]
    next_episodes = (
        next_episodes if stateful else [next_episodes[0], next_episodes[1].replace(state=next_episodes[0].state)]
    )
    either = lambda new, old: jax.tree.map(lambda x, y: jnp.where(done, x, y), new, old)
    return [either(new, old) for new, old in zip(next_episodes, (here, there), strict=True)], done


def random_returns(task: Task, key: Key) -> Float[np.ndarray, " episode"]:
    """Returns undiscounted returns of the random policy."""
    tasks = stack([task])
    agent = Uniform().learner(spec(tasks))
    return np.asarray(evaluate(agent, agent.init(key, None), tasks, EPISODES, key[None]))[0, 0]


def _constant(source: Task, pairs: Pairs) -> tuple[str, ...]:
    """Returns the components of a vector observation that are constant in the source and differ in the target."""
    if not isinstance(source.env.observation_space, Box):
        return ()
    here, there = (
        np.concatenate([pairs.first, pairs.next_obs]),
        np.concatenate([pairs.first_target, pairs.next_obs_target]),
    )
    constant = np.ptp(here, 0) <= NEGLIGIBLE * np.maximum(1.0, np.abs(here[0]))
    differs = np.abs(there - here).max(0) > NEGLIGIBLE * np.maximum(1.0, np.abs(here[0]))
    return tuple(
        name for name, is_shift in zip(source.env.observation_space.names, constant & differs, strict=True) if is_shift
    )


def _spread(x: Any) -> np.ndarray:
    return np.sqrt(np.mean(np.square(x - x.mean(0)), 0))


def _apart(a: Any, b: Any, spread: np.ndarray) -> float:
    """Returns the mean distance of paired rows: the root mean square over components, in standard deviations.

    A component that is constant in the source counts in its own units.
    """
    return float(np.sqrt(np.mean(np.square((a - b) / np.where(spread > 1e-8, spread, 1.0)), 1)).mean())
