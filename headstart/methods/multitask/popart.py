"""PopArt: each task has the same say in what is learned, however large its rewards are.

Transfers: policy, value with each source's mean and spread of returns, and features (normaliser).
Assumes: the sources are told apart, and differ in the scale of their rewards more than in what they ask for.
Fails when: rewards are alike anyway, or a task's returns are so rare that their spread says nothing yet.
Source: arXiv:1809.04474 (PopArt-IMPALA, section 4), after arXiv:1602.07714.
Departs from it in: PPO or DQN for IMPALA; statistics move with every rollout, not with every batch; each task's
advantages are divided by their own spread within the rollout, where the paper divides them by that of the returns.
"""

import dataclasses
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Record, Spec, Statistics, Transition
from headstart.learners.ppo import PPO, Critic
from headstart.learners.teachers import task_index
from headstart.losses.weighted import standardize
from headstart.nets.contract import PolicyContract, network_steps, observation_steps, step
from headstart.nets.encoders import feature_dim
from headstart.nets.mlp import MLP, mlp
from headstart.nets.values import QNetwork

LEAST, MOST = 1e-4, 1e6  # of a spread


@dataclasses.dataclass(frozen=True)
class PopArt(Method):
    """The base learner with a value head for each source, which tells values in that source's own mean and spread."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains; PPO or DQN, or what is over them
    step_size: float | None = None  # of the statistics after a rollout, in (0, 1]; None: 0.1, or 0.001 off-policy

    def __post_init__(self) -> None:
        check_range(self, "step_size", 0.0, 1.0, open_low=True)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        return inner._replace(
            init=functools.partial(_init, self, inner, spec),
            prepare=functools.partial(_observe, inner),
            rescale_target=_follow,
            policy_contract=lambda k: inner.policy_contract(k) if k.value.shape == () else _contract(k),
        )


class ReturnStatistics(Statistics):
    """The mean and spread of each task's returns."""

    mean: Float[Array, "*seed task"]
    square: Float[Array, "*seed task"]  # the mean of squared returns
    rollouts: Float[Array, "*seed task"]  # rollouts

    @property
    def std(self) -> Float[Array, "*seed task"]:
        return jnp.clip(jnp.sqrt(jnp.maximum(self.square - jnp.square(self.mean), 0.0)), LEAST, MOST)


class PopArtHeads(Record):
    """A value (or one for each choice) for each task, in units of its own returns' spread from their mean."""

    net: MLP
    statistics: ReturnStatistics
    step_size: float = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True, default=())  # of what is told for a task: (choices,), or one value
    num_task_ids: int = eqx.field(static=True, default=0)  # how many of the context's first numbers are the task's id
    context_index: int = eqx.field(static=True, default=0)  # of the context, among the features

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, "*choice"]:
        """-> the value of the task that the features name, in its units."""
        return self.net(x).reshape(-1, *self.shape)[self._task(x)]

    def value(self, x: Float[Array, " features"]) -> Float[Array, "*choice"]:
        """-> that value as it is."""
        task = self._task(x)
        return self.statistics.std[task] * self(x) + self.statistics.mean[task]

    def _task(self, x: Float[Array, " features"]) -> Array:
        return task_index(x[self.context_index : self.context_index + self.num_task_ids])

    def update(
        self, returns: Float[Array, "*n"], context: Float[Array, "*n context"], weight: Float[Array, "*n"]
    ) -> "PopArtHeads":
        """-> the same values told in new units: those of the returns seen so far and of these (eqs. 6 to 9)."""
        units, k = self.statistics, self.statistics.mean.size
        own = jax.nn.one_hot(task_index(context[..., : self.num_task_ids]), k) * weight[..., None]
        total = own.reshape(-1, k).sum(0)
        average = lambda x: (own * x[..., None]).reshape(-1, k).sum(0) / jnp.maximum(total, 1e-8)
        share = jnp.where(
            total > 0, jnp.maximum(self.step_size, 1.0 / (units.rollouts + 1.0)), 0.0
        )  # the first count alike
        returns = jnp.where(weight > 0, returns, 0.0)
        move = lambda old, x: old + share * (average(x) - old)
        square = move(units.square, jnp.square(returns))
        return self.rescaled(ReturnStatistics(move(units.mean, returns), square, units.rollouts + (total > 0)))

    def rescaled(self, units: ReturnStatistics) -> "PopArtHeads":
        """-> the same values, told in these units (eqs. 8 and 9)."""
        each, mine = lambda of_task: jnp.repeat(of_task, math.prod(self.shape)), self.statistics
        scale, shift = each(mine.std / units.std), each((mine.mean - units.mean) / units.std)
        weight, bias = self.net.last.weight, self.net.last.bias
        at = lambda net: (net.last.weight, net.last.bias)
        net = eqx.tree_at(at, self.net, (weight * scale[None], bias * scale + shift))
        return self.replace(net=net, statistics=units)

    def normalize(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"]) -> Float[Array, "*n"]:
        """-> returns in units of their task."""
        task = task_index(context[..., : self.num_task_ids])
        return (returns - self.statistics.mean[task]) / self.statistics.std[task]


def _init(popart: PopArt, inner: Learner, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    k = inner.init(key, prior)
    if prior is not None:
        return k
    if not isinstance(k.value, Critic | QNetwork):
        raise InputError(
            f"PopArt needs a learner with PPO's critic or DQN's values (not dueling), and {popart.base!r} has none; "
            "use PPO or DQN."
        )
    tasks, shape = max(spec.task_id_dim, 1), (spec.action_space.size,) if isinstance(k.value, QNetwork) else ()
    sizes = (*(layer.weight.shape[0] for layer in (*k.value.net.layers, k.value.net.last)), tasks * math.prod(shape))
    net = mlp(sizes, 1.0, k.value.net.activation, jax.random.fold_in(key, ord("v")))
    none, usual = jnp.zeros(tasks), 1e-3 if inner.replay.buffer_size else 0.1
    units, place = ReturnStatistics(none, none + 1.0, none), feature_dim(k.features, spec.observation_space)
    return k.replace(value=PopArtHeads(net, units, popart.step_size or usual, shape, spec.task_id_dim, place))


def _observe(
    inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """The base learner's lesson, but that each task's advantages have mean 0 and spread 1 by themselves."""
    k, batch = inner.prepare(k, fresh, key, progress)
    if "advantage" not in batch.extras:
        return k, batch
    advantage = standardize(batch.extras["advantage"], batch.weight, axis=(1, 2))
    return k, batch.replace(extras={**batch.extras, "advantage": advantage})


def _contract(k: Knowledge) -> PolicyContract:
    """Returns how the best choice is found where each task has values of its own: units do not matter for that."""
    heads: PopArtHeads = k.value
    seen = (*observation_steps(k.features), step("concatenate", ("seen", "context"), "x"))
    its_own = (
        step("which", ("context",), "task", first=heads.num_task_ids),
        step("row", ("x", "task"), "x", length=heads.shape[0]),
    )
    best = step("argmax", ("x",), "action")
    return PolicyContract((*seen, *network_steps(heads.net, "knowledge.value.net"), *its_own, best))


def _follow(slow: Knowledge | None, k: Knowledge) -> Knowledge | None:
    """The lagged copy, where there is one, says what it said, in the units of what it is mixed with."""
    return None if slow is None else slow.replace(value=slow.value.rescaled(k.value.statistics))
