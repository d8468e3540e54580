"""EPOpt: learn from the worst ε of an ensemble's paths, so that the policy is good in the ensemble's bad tail too.

Transfers: policy, value and features (normaliser).
Assumes: the source can be randomised around the target; paths differ in return because their parameters differ.
Fails when: the target lies outside the ensemble, or the tail is hopeless: then it learns nothing but the hopeless.
Source: arXiv:1610.01283, algorithm 1; arXiv:1810.12282 for ε = 1 in the beginning.
Departs from it in: PPO for TRPO; a path is learned from rollout by rollout, ranked by its return so far and the
critic's value of what follows; target data do not re-weight the ensemble: in the target the base learner goes on.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, PyTree, Record, Spec, Transition
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class EPOpt(Method):
    """The base learner on the worst ε of paths: their conditional value at risk.

    The base learner's advantages are centred over *all* paths before the worst are picked, and its critic learns from
    all. Centring over the picked ones alone would make the tail's mean its own baseline, and cancel what EPOpt is for.
    """

    base: Method = dataclasses.field(default_factory=lambda: PPO(entropy_coef=1e-3))  # the learner; alone in the target
    num_envs: int = 128  # episodes side by side: a tail of ε = 0.1 wants 100 or more, >= 1
    num_steps: int = 16  # steps of each between updates, >= 1
    batch_size: int = 64  # transitions in one gradient step, >= 1
    epsilon: float = 0.1  # share of paths learned from after the beginning, in (0, 1]
    warmup_fraction: float = 0.4  # share of the training with ε = 1, in [0, 1]
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
        replay = inner.replay._replace(num_steps=self.num_steps, num_envs=self.num_envs, batch_size=self.batch_size)
        return inner._replace(
            init_carry=functools.partial(_begin, inner),
            act=functools.partial(_act, inner),
            update_carry=functools.partial(_remember, self, inner),
            prepare=functools.partial(_observe, self, inner),
            replay=replay,
        )


class PathCarry(Record):
    """What an episode has come to so far."""

    carry: PyTree  # of the base learner
    return_so_far: Float[Array, "*copy"]  # its discounted return
    discount_so_far: Float[Array, "*copy"]  # γ to the power of its steps


def _begin(inner: Learner, key: Key, parameters: Float[Array, " parameter"]) -> PathCarry:
    return PathCarry(inner.init_carry(key, parameters), jnp.zeros(()), jnp.ones(()))


def _act(inner: Learner, k: Knowledge, path: PathCarry, obs: Array, context: Array, key: Key, explore: Array | float):
    action, carry, extras = inner.act(k, path.carry, obs, context, key, explore)
    return action, path.replace(carry=carry), {**extras, "so_far": path.return_so_far, "factor": path.discount_so_far}


def _remember(epopt: EPOpt, inner: Learner, path: PathCarry, seen: Transition) -> PathCarry:
    so_far = path.return_so_far + path.discount_so_far * seen.reward
    return PathCarry(inner.update_carry(path.carry, seen), so_far, epopt.discount * path.discount_so_far)


def _observe(
    epopt: EPOpt, inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Advantages of the worst paths, per share of them, and 0 for the others; the critic learns from all."""
    k, batch = inner.prepare(k, fresh, key, progress)
    if not {"advantage", "next_value"} <= batch.extras.keys():
        raise InputError(f"EPOpt needs a learner with a critic and advantages, and {epopt.base!r} is none; use PPO.")
    returns = path_returns(batch, epopt.discount)
    epsilon = jnp.where(progress < epopt.warmup_fraction, 1.0, epopt.epsilon)
    kept = jax.vmap(worst_paths, in_axes=(0, 0, None))(returns, first_steps(batch.last), epsilon)
    share = (kept * batch.weight).sum() / jnp.maximum(batch.weight.sum(), 1.0)
    advantage = jnp.where(kept > 0, batch.extras["advantage"] / jnp.maximum(share, 1e-8), 0.0)
    return k, batch.replace(extras={**batch.extras, "advantage": advantage})


def path_returns(batch: Transition, gamma: float) -> Float[Array, "task time copy"]:
    """-> at each step, the return of its episode, discounted from the episode's start.

    An episode that the rollout or the horizon cuts off goes on with the critic's value of what follows.
    """
    so_far, factor, value = (batch.extras[name] for name in ("so_far", "factor", "next_value"))
    follows = jnp.where(batch.discount > 0, gamma * factor * value, 0.0)  # beyond an end may be anything, even NaN
    whole = so_far + factor * batch.reward + follows
    ends = batch.last.at[:, -1].set(True)

    def back(later: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        whole, ends = x
        here = jnp.where(ends, whole, later)
        return here, here

    backwards = functools.partial(jax.lax.scan, back, reverse=True)
    return jax.vmap(lambda whole, ends: backwards(jnp.zeros_like(whole[0]), (whole, ends))[1])(whole, ends)


def first_steps(last: Bool[Array, "task time copy"]) -> Bool[Array, "task time copy"]:
    """-> where a path begins within this rollout."""
    return jnp.concatenate([jnp.ones_like(last[:, :1]), last[:, :-1]], 1)


def worst_paths(
    returns: Float[Array, "time copy"], starts: Bool[Array, "time copy"], epsilon: Float[Array, ""]
) -> Float[Array, "time copy"]:
    """-> 1 at each step of the paths whose return is at most the ε-quantile over paths (each path counted once)."""
    each = jnp.sort(jnp.where(starts, returns, jnp.inf).reshape(-1))
    paths = starts.sum()
    share = epsilon * paths * (1.0 - 1e-6)  # rounding must not make 0.3 · 50 paths sixteen
    rank = jnp.clip(jnp.ceil(share).astype(jnp.int32) - 1, 0, paths - 1)
    return (returns <= each[rank]).astype(jnp.float32)
