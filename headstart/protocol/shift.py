"""The shift doctor: is the target another task than the source at all, and which parameter makes it so?

The same actions are played from the same states in both, so that an effect of exactly 0 means: the same task. Envs of
others, which cannot be put back into a state, play the same actions from the same starts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from headstart.core.episode import draw
from headstart.core.rollout import evaluate
from headstart.core.types import Env, Key, Knowledge, Params, PyTree, Record, Task, spec, stack
from headstart.learners.uniform import Uniform
from headstart.tasks.registry import aligned, value_of

COPIES, STEPS, EPISODES = 32, 50, 16
NOTHING = 1e-6  # effects below this are rounding


class Effect(NamedTuple):
    """How far two tasks are apart, each in standard deviations (0: not at all)."""

    initial: float  # first observations of equal draws, in standard deviations of the source's first observations
    next_state: float  # next observations, in standard deviations of the source's one-step changes
    reward: float  # rewards, in standard deviations of the source's rewards
    returns: float  # the random policy's mean return (Cohen's d; the sign says where it is higher: + the target)

    @property
    def differs(self) -> bool:
        # what is no number (an env that broke) cannot be told to be nothing
        return not max(self.initial, self.next_state, self.reward) <= NOTHING


class Shift(NamedTuple):
    """The whole shift, and that of each changed parameter on its own."""

    whole: Effect
    parameters: dict[str, Effect]
    values: dict[str, tuple[str, str]]  # each changed parameter's value in source and target

    @property
    def differs(self) -> bool:
        return self.whole.differs


def shift(source: Task, target: Task, key: Key) -> Shift:
    """-> the effect of all that differs between two tasks of one env, and of each parameter alone."""
    source, target = aligned([source, target])
    values = {name: (value_of(source, name), value_of(target, name)) for name in target.params}
    changed = [name for name, (a, b) in values.items() if a != b]
    variants = [target]
    for name in changed:
        variants.append(source.replace(params={**source.params, name: target.params[name]}))
    each = [_effect(source, variant, key) for variant in variants]
    alone = dict(zip(changed, each[1:], strict=True))
    return Shift(each[0], alone, {name: values[name] for name in changed})


def _effect(source: Task, target: Task, key: Key) -> Effect:
    seen = jax.tree.map(np.asarray, _side_by_side(source, target, key))
    before = random_returns(source, key)
    after = random_returns(target, key)
    spread = np.sqrt(0.5 * (before.var(ddof=1) + after.var(ddof=1)))
    return Effect(
        initial=_apart(seen.first, seen.first_target, _spread(seen.first)),
        next_state=_apart(seen.next_obs, seen.next_obs_target, _spread(seen.next_obs - seen.obs)),
        reward=_apart(seen.reward, seen.reward_target, _spread(seen.reward)),
        returns=float((after.mean() - before.mean()) / max(spread, 1e-8)),
    )


class Pairs(Record):
    """The same steps in both tasks."""

    first: Array  # [copy, observation]
    first_target: Array
    obs: Array  # [row, observation]
    next_obs: Array
    next_obs_target: Array
    reward: Array  # [row, 1]
    reward_target: Array


@jax.jit
def _side_by_side(source: Task, target: Task, key: Key) -> Pairs:
    env, agent = source.env, Uniform().learner(spec(stack([source])))

    def one(key: Key) -> Pairs:
        k_draw, k_start, k_play = jax.random.split(key, 3)
        here, there = draw(source, k_draw), draw(target, k_draw)
        starts = [env.initial(params, k_start) for params in (here, there)]
        first, first_target = env.observe(here, starts[0]), env.observe(there, starts[1])

        def tick(states, key):
            k_act, k_step, k_again = jax.random.split(key, 3)
            obs = env.observe(here, states[0])
            action = env.action.rescale(agent.act(Knowledge(), (), obs, source.context, k_act, 1.0)[0])
            nexts = [env.transition(p, s, action, k_step) for p, s in zip((here, there), states, strict=True)]
            seen = [env.observe(params, s) for params, s in zip((here, there), nexts, strict=True)]
            rewards = [
                (env.cumulants(params, before, action, s) @ task.w)[None]
                for task, params, before, s in zip((source, target), (here, there), states, nexts, strict=True)
            ]
            return _go_on(env, (here, there), nexts, k_again), (obs, *seen, *rewards)

        starts = starts if env.live else starts[:1] * 2
        ends, (obs, *rest) = jax.lax.scan(tick, starts, jax.random.split(k_play, STEPS))
        for state in ends:
            env.leave(state)
        return Pairs(first, first_target, obs, *rest)

    pairs = jax.vmap(one)(jax.random.split(key, COPIES))
    rows = {name: COPIES if name.startswith("first") else COPIES * STEPS for name in vars(pairs)}
    return Pairs(**{name: getattr(pairs, name).reshape(n, -1).astype(jnp.float32) for name, n in rows.items()})


def _go_on(env: Env, params: tuple[Params, Params], nexts: list[PyTree], key: Key) -> list[PyTree]:
    """-> the states that source and target step from next: both from the source's, where that can be done.

    A live env steps once from each state, so that each task goes on from its own, and what differs adds up.
    """
    if env.live:
        ends = [end(p, s) for p, s in zip(params, nexts, strict=True) for end in (env.terminal, env.truncated)]
        over = jnp.stack(ends).any()
    else:
        params, nexts = (params[0], params[0]), nexts[:1] * 2
        over = env.terminal(params[0], nexts[0])
    again = [env.again(p, s, over, key) for p, s in zip(params, nexts, strict=True)]
    return [jax.tree.map(lambda new, old: jnp.where(over, new, old), a, s) for a, s in zip(again, nexts, strict=True)]


def random_returns(task: Task, key: Key) -> np.ndarray:
    """-> undiscounted returns of the random policy [episode]."""
    tasks = stack([task])
    agent = Uniform().learner(spec(tasks))
    return np.asarray(evaluate(agent, agent.init(key, None), tasks, EPISODES, key[None]))[0, 0]


def _spread(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.square(x - x.mean(0)), 0))


def _apart(a: np.ndarray, b: np.ndarray, spread: np.ndarray) -> float:
    """-> the mean distance of paired rows, in root mean square standard deviations over components.

    A component that never varies in the source counts in its own units.
    """
    return float(np.sqrt(np.mean(np.square((a - b) / np.where(spread > 1e-8, spread, 1.0)), 1)).mean())
