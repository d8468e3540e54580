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
from headstart.core.types import Key, Knowledge, Learner, Method, Record, Spec, Transition
from headstart.learners.ppo import PPO


class Begun(Record):
    """What each copy's episode has come to before this rollout."""

    so_far: Float[Array, "*task_copy"]  # its discounted return
    factor: Float[Array, "*task_copy"]  # γ to the power of its steps


@dataclasses.dataclass(frozen=True)
class EPOpt(Method):
    """The base learner on the worst ε of paths: their conditional value at risk.

    The base learner's advantages are centred over *all* paths before the worst are picked, and its critic learns from
    all. Centring over the picked ones alone would make the tail's mean its own baseline, and cancel what EPOpt is for.
    """

    base: Method = dataclasses.field(default_factory=lambda: PPO(entropy=1e-3))  # learns; alone in the target domain
    paths: int = 128  # episodes side by side: a tail of ε = 0.1 wants 100 or more, >= 1
    length: int = 16  # steps of each between updates, >= 1
    batch: int = 64  # transitions in one gradient step, >= 1
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
        return inner._replace(
            init=functools.partial(_init, self, spec, inner),
            observe=functools.partial(_observe, self, inner),
            replay=inner.replay._replace(length=self.length, copies=self.paths, batch=self.batch),
        )


def _init(epopt: EPOpt, spec: Spec, inner: Learner, key: Key, prior: Knowledge | None) -> Knowledge:
    none = jnp.zeros((spec.tasks, epopt.paths))
    return inner.init(key, prior).replace(extra=Begun(none, none + 1.0))


def _observe(
    epopt: EPOpt, inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Advantages of the worst paths, per share of them, and 0 for the others; the critic learns from all."""
    begun: Begun = k.extra
    k, batch = inner.observe(k, fresh, key, progress)
    if not {"advantage", "next_value"} <= batch.extras.keys():
        raise InputError(f"EPOpt needs a learner with a critic and advantages, and {epopt.base!r} is none; use PPO.")
    stream = functools.partial(path_returns, jnp.float32(epopt.discount))
    streams = jax.vmap(jax.vmap(stream, in_axes=(0, 1, 1, 1, 1), out_axes=(0, 1)))
    begun, returns = streams(begun, batch.reward, batch.discount, batch.last, batch.extras["next_value"])
    epsilon = jnp.where(progress < epopt.warmup, 1.0, epopt.epsilon)
    kept = jax.vmap(worst, in_axes=(0, 0, None))(returns, first_steps(batch.last), epsilon)
    share = (kept * batch.weight).sum() / jnp.maximum(batch.weight.sum(), 1.0)
    advantage = jnp.where(kept > 0, batch.extras["advantage"] / jnp.maximum(share, 1e-8), 0.0)
    return k.replace(extra=begun), batch.replace(extras={**batch.extras, "advantage": advantage})


def path_returns(
    gamma: Float[Array, ""],
    begun: Begun,
    r: Float[Array, " time"],
    discount: Float[Array, " time"],
    last: Bool[Array, " time"],
    v_next: Float[Array, " time"],
) -> tuple[Begun, Float[Array, " time"]]:
    """-> what goes on after this rollout, and at each step its episode's return, discounted from the episode's start.

    An episode that the rollout or the horizon cuts off goes on with the critic's value of what follows.
    """

    def forth(begun: Begun, x):
        r, discount, last, v_next = x
        so_far, factor = begun.so_far + begun.factor * r, begun.factor * gamma
        whole = so_far + jnp.where(discount > 0, factor * v_next, 0.0)  # beyond an end may be anything, even NaN
        return Begun(jnp.where(last, 0.0, so_far), jnp.where(last, 1.0, factor)), whole

    begun, whole = jax.lax.scan(forth, begun, (r, discount, last, v_next))

    def back(later, x):
        whole, ends = x
        here = jnp.where(ends, whole, later)
        return here, here

    ends = last | (jnp.arange(r.shape[0]) == r.shape[0] - 1)
    return begun, jax.lax.scan(back, jnp.zeros(()), (whole, ends), reverse=True)[1]


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
