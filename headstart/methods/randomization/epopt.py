"""EPOpt: learn from the worst ε of an ensemble's paths, so that the policy is good in the ensemble's bad tail too.

Transfers: policy, value and features (normaliser).
Assumes: the source can be randomised around the target; paths differ in return because their parameters differ.
Fails when: the target lies outside the ensemble, or the tail is hopeless: then it learns nothing but the hopeless.
Source: arXiv:1610.01283, algorithm 1; arXiv:1810.12282 for ε = 1 in the beginning.
Departs from it in: PPO for TRPO; a path is the part of an episode within one rollout, with the critic's value of what
follows; the ensemble is not re-weighted with target data: in the target the base learner goes on.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Spec, Transition
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class EPOpt(Method):
    """The base learner on the worst ε of paths: their conditional value at risk.

    The base learner's advantages are centred over *all* paths before the worst are picked. Centring over the picked
    ones alone would make the tail's mean its own baseline, and cancel what EPOpt is for.
    """

    base: Method = dataclasses.field(default_factory=lambda: PPO(entropy=1e-3))  # learns; alone in the target domain
    paths: int = 128  # episodes side by side: a tail of ε = 0.1 wants 100 or more, >= 1
    length: int = 128  # steps of each between updates, >= 1
    batch: int = 128  # transitions of the worst paths in one gradient step, >= 1
    epsilon: float = 0.1  # share of paths learned from after the beginning, in (0, 1]
    warmup: float = 0.4  # share of the training with ε = 1, in [0, 1]
    discount: float = 0.99  # γ of the paths' returns, in [0, 1]

    def __post_init__(self) -> None:
        for name in ("paths", "length", "batch"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "epsilon", 0.0, 1.0, open_low=True)
        check_range(self, "warmup", 0.0, 1.0)
        check_range(self, "discount", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if target:
            return inner
        replay = inner.replay._replace(length=self.length, copies=self.paths, batch=self.batch)
        return inner._replace(observe=functools.partial(_observe, self, inner), replay=replay)


def _observe(
    epopt: EPOpt, inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    k, batch = inner.observe(k, fresh, key, progress)
    if "next_value" not in batch.extras:
        raise InputError(f"EPOpt ranks paths by what a critic says follows them, and {epopt.base!r} has none; use PPO.")
    epsilon = jnp.where(progress < epopt.warmup, 1.0, epopt.epsilon)
    streams = jax.vmap(jax.vmap(path_returns, in_axes=(1, 1, 1, 1, None), out_axes=1), in_axes=(0, 0, 0, 0, None))
    next_value = batch.extras["next_value"]
    returns = streams(batch.reward, batch.discount, batch.last, next_value, jnp.float32(epopt.discount))
    kept = jax.vmap(worst, in_axes=(0, 0, None))(returns, first_steps(batch.last), epsilon)
    return k, batch.replace(weight=batch.weight * kept)


def path_returns(
    r: Float[Array, " time"],
    discount: Float[Array, " time"],
    last: Bool[Array, " time"],
    v_next: Float[Array, " time"],
    gamma: Float[Array, ""],
) -> Float[Array, " time"]:
    """-> at each step, the discounted return of its path counted from the path's first step within this rollout.

    A path that the rollout or the horizon cuts off ends with the value of what follows.
    """
    ends = last | (jnp.arange(r.shape[0]) == r.shape[0] - 1)

    def back(later, x):
        r, discount, ends, v_next = x
        follows = jnp.where(ends, v_next, later)
        total = r + jnp.where(discount > 0, gamma * discount * follows, 0.0)  # beyond an end may be anything, even NaN
        return total, total

    to_go = jax.lax.scan(back, jnp.zeros(()), (r, discount, ends, v_next), reverse=True)[1]
    starts = jnp.concatenate([jnp.array([True]), last[:-1]])

    def forward(current, x):
        to_go, starts = x
        current = jnp.where(starts, to_go, current)
        return current, current

    return jax.lax.scan(forward, jnp.zeros(()), (to_go, starts))[1]


def first_steps(last: Bool[Array, "task time copy"]) -> Bool[Array, "task time copy"]:
    """-> where a path begins within this rollout."""
    return jnp.concatenate([jnp.ones_like(last[:, :1]), last[:, :-1]], 1)


def worst(
    returns: Float[Array, "time copy"], starts: Bool[Array, "time copy"], epsilon: Float[Array, ""]
) -> Float[Array, "time copy"]:
    """-> 1 at each step of the paths whose return is at most the ε-quantile over paths (each path counted once)."""
    each = jnp.sort(jnp.where(starts, returns, jnp.inf).reshape(-1))
    paths = starts.sum()
    share = epsilon * paths * (1.0 - 1e-6)  # rounding must not make 0.3 · 50 paths sixteen
    rank = jnp.clip(jnp.ceil(share).astype(jnp.int32) - 1, 0, paths - 1)
    return (returns <= each[rank]).astype(jnp.float32)
