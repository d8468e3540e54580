"""HER: hindsight experience replay. Transitions are replayed as if another goal had been wanted, which was reached.

Transfers: policy and value, as functions of observation and goal (universal value functions, Schaul et al. 2015).
Assumes: each episode has a goal, which its observations hold, and the reward of any goal can be computed.
Fails when: goals that were reached say nothing about those that are wanted. With dense rewards there is less to gain.
Source: arXiv:1707.01495, algorithm 1 and section 3.2; constants of github.com/openai/baselines, her.
Departs from it in: SAC or DQN for DDPG; goals are drawn when a batch is drawn, not when an episode is stored; of an
episode that goes on, goals are drawn from the steps so far.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.draw import Draw
from headstart.core.env import GoalFunctions
from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Info, Key, Learner, Method, Params, Phase, Spec, Transition
from headstart.learners.sac import SAC


@dataclasses.dataclass(frozen=True)
class HER(Method):
    """The base learner on transitions of which most have a goal that their episode reached."""

    base: Method = dataclasses.field(default_factory=SAC)  # the learner: SAC or DQN
    strategy: Literal["future", "final", "episode"] = "future"  # the steps of the episode whose goals are used
    relabel_fraction: float = 0.8  # share of a batch with another goal, in [0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "strategy")
        check_range(self, "relabel_fraction", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        inner.replay.check_single_transitions("HER", self.base)

        def hindsight(phase: Phase) -> Phase:
            def sample(params: Params, draw: Draw, info: Info) -> Transition:
                k_which, k_goal, k_inner = jax.random.split(info.key, 3)
                goals = goal_functions(info)
                reached = draw.take(draw.later(draw.rows, steps_to_goal(self.strategy, draw, k_goal)))
                new = jax.vmap(jax.vmap(goals.achieved))(reached.next_obs)
                chosen = jax.random.uniform(k_which, draw.rows.shape) < self.relabel_fraction
                assert info.task is not None
                one = jax.vmap(lambda t, goal, chosen, w: relabel(goals, t, goal, chosen, w), (0, 0, 0, None))
                return jax.vmap(one)(phase.sample(params, draw, info._replace(key=k_inner)), new, chosen, info.task.w)

            return phase._replace(sample=sample)

        return inner._replace(phases=tuple(map(hindsight, inner.phases)))


def goal_functions(info: Info) -> GoalFunctions:
    """Returns the goal functions of the env. Raises InputError if it has none."""
    env = None if info.task is None else info.task.env
    if env is None or env.goal is None:
        name = "this env" if env is None else env.name
        raise InputError(
            f"HER needs episodes with goals, and {name} has none (`Env.goal`); use BitFlip, GoalPointMass or "
            "PlanarReacher."
        )
    return env.goal


def steps_to_goal(strategy: str, draw: Draw, key: Key) -> Int[Array, "task batch"]:
    """Returns how many steps after each row of the draw the goal was reached that the row is replayed with.

    future: a random step of the row's episode from the row's own on; final: its last step; episode: any of its steps.
    """
    left, _ = draw.steps_left(draw.rows)
    if strategy == "final":
        return left
    before = draw.steps_before(draw.rows) if strategy == "episode" else jnp.zeros_like(left)
    u = jax.random.uniform(key, left.shape)
    return jnp.floor(u * (before + left + 1)).astype(jnp.int32) - before


def relabel(
    goals: GoalFunctions, t: Transition, goal: Array, chosen: Array, w: Float[Array, " cumulant"]
) -> Transition:
    """Returns the transition as if `goal` had been wanted, if it is `chosen`, with the reward of that goal."""
    achieved, wanted = goals.achieved(t.next_obs), goals.desired(t.obs)
    cumulants = t.cumulants - goals.reward(achieved, wanted) + goals.reward(achieved, goal)
    new = t.replace(
        obs=goals.with_goal(t.obs, goal),
        next_obs=goals.with_goal(t.next_obs, goal),
        cumulants=cumulants,
        reward=cumulants @ w,
    )
    return jax.tree.map(lambda a, b: jnp.where(chosen, a, b), new, t)
