"""EPOpt: train on the worst ε of an ensemble's paths, so that the policy is good in the bad cases too.

Transfers: policy, value and encoder or normalizer.
Assumes: the source can be randomized around the target; paths differ in return because their parameters differ.
Fails when: the target lies outside the ensemble, or the worst cases cannot be solved and take all the training.
Source: arXiv:1610.01283, algorithm 1; arXiv:1810.12282 for ε = 1 at the start.
Departs from it in: PPO for TRPO; paths are ranked in each rollout, by their return so far plus the critic's value of
what follows; target data do not re-weight the ensemble: in the target the base learner continues.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Learner, Method, PyTree, Record, Spec, Transition
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class EPOpt(Method):
    """The base learner on the worst ε of paths: it maximizes their conditional value at risk.

    The base learner's advantages are standardized over *all* paths before the worst are selected, and its critic is
    trained on all. Over the selected ones alone, the tail's mean would be its own baseline, which cancels the method.
    """

    base: Method = dataclasses.field(default_factory=lambda: PPO(entropy_coef=1e-3))  # the learner, alone in the target
    num_envs: int = 128  # parallel paths; a tail of ε = 0.1 needs 100 or more, >= 1
    num_steps: int = 16  # steps of each environment in a rollout, >= 1
    batch_size: int = 64  # transitions per gradient step, >= 1
    epsilon: float = 0.1  # fraction of paths that the policy is trained on after the warm-up, in (0, 1]
    warmup_fraction: float = 0.4  # fraction of the training with ε = 1, in [0, 1]
    discount: float = 0.99  # γ of the paths' returns, in [0, 1]

    def __post_init__(self) -> None:
        for name in ("num_envs", "num_steps", "batch_size"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "epsilon", 0.0, 1.0, open_low=True)
        check_range(self, "warmup_fraction", 0.0, 1.0)
        check_range(self, "discount", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if target:
            return inner

        def init_carry(parameters, info):
            return PathCarry(inner.init_carry(parameters, info), jnp.zeros(()), jnp.ones(()))

        def act(params, path, obs, context, info):
            action, carry, extras = inner.act(params, path.carry, obs, context, info)
            own = {"return_so_far": path.return_so_far, "discount_so_far": path.discount_so_far}
            return action, path.replace(carry=carry), {**extras, **own}

        def update_carry(path, transition):
            return_so_far = path.return_so_far + path.discount_so_far * transition.reward
            carry = inner.update_carry(path.carry, transition)
            return PathCarry(carry, return_so_far, self.discount * path.discount_so_far)

        def prepare(params, rollout, info):
            """Sets advantages to 0 outside of the worst paths, and scales the others up; the critic sees all paths."""
            params, rows = inner.prepare(params, rollout, info)
            if not {"advantage", "next_value"} <= rows.extras.keys():
                raise InputError(f"EPOpt needs a learner with a critic and advantages, not {self.base!r}; use PPO.")
            returns = path_returns(rows, self.discount)
            epsilon = jnp.where(info.progress < self.warmup_fraction, 1.0, self.epsilon)
            kept = jax.vmap(worst_paths, in_axes=(0, 0, None))(returns, first_steps(rows.last), epsilon)
            share = (kept * rows.weight).sum() / jnp.maximum(rows.weight.sum(), 1.0)
            advantage = jnp.where(kept > 0, rows.extras["advantage"] / jnp.maximum(share, 1e-8), 0.0)
            return params, rows.replace(extras={**rows.extras, "advantage": advantage})

        sizes = {"num_steps": self.num_steps, "num_envs": self.num_envs, "batch_size": self.batch_size}
        replay = inner.replay._replace(**sizes)
        return inner._replace(init_carry=init_carry, act=act, update_carry=update_carry, prepare=prepare, replay=replay)


class PathCarry(Record):
    """The base learner's carry, and the episode's return so far."""

    carry: PyTree
    return_so_far: Float[Array, "*env"]  # discounted from the episode's start
    discount_so_far: Float[Array, "*env"]  # γ to the power of the steps so far


def path_returns(batch: Transition, gamma: float) -> Float[Array, "task time env"]:
    """Returns, at each step, the return of its episode, discounted from the episode's start.

    Where the rollout or the horizon cuts an episode off, the critic's value of the next state is added.
    """
    so_far, factor, value = (batch.extras[name] for name in ("return_so_far", "discount_so_far", "next_value"))
    follows = jnp.where(
        batch.discount > 0, gamma * factor * value, 0.0
    )  # after a termination it may be anything, even NaN
    whole = so_far + factor * batch.reward + follows
    ends = batch.last.at[:, -1].set(True)

    def back(later: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        whole, ends = x
        here = jnp.where(ends, whole, later)
        return here, here

    backwards = functools.partial(jax.lax.scan, back, reverse=True)
    return jax.vmap(lambda whole, ends: backwards(jnp.zeros_like(whole[0]), (whole, ends))[1])(whole, ends)


def first_steps(last: Bool[Array, "task time env"]) -> Bool[Array, "task time env"]:
    """Returns where a path begins within this rollout."""
    return jnp.concatenate([jnp.ones_like(last[:, :1]), last[:, :-1]], 1)


def worst_paths(
    returns: Float[Array, "time env"], starts: Bool[Array, "time env"], epsilon: Float[Array, ""]
) -> Float[Array, "time env"]:
    """Returns 1 at each step of the paths whose return is at most the ε-quantile over paths, each counted once."""
    each = jnp.sort(jnp.where(starts, returns, jnp.inf).reshape(-1))
    paths = starts.sum()
    share = epsilon * paths * (1.0 - 1e-6)  # so that rounding does not make 0.3 · 50 paths sixteen
    rank = jnp.clip(jnp.ceil(share).astype(jnp.int32) - 1, 0, paths - 1)
    return (returns <= each[rank]).astype(jnp.float32)
