"""PopArt: every task has equal influence on training, whatever the scale of its rewards.

Transfers: policy, value with each source's mean and std of returns, and encoder or normalizer.
Assumes: the context tells sources apart, and they differ in the scale of rewards more than in what they require.
Fails when: rewards have one scale anyway, or a task's returns are too rare for statistics.
Source: arXiv:1809.04474 (PopArt-IMPALA, section 4), after arXiv:1602.07714.
Departs from it in: PPO or DQN for IMPALA; statistics are updated with every rollout, not with every batch; each task's
advantages are standardized within the rollout, where the paper divides them by the std of returns.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Learner, Method, Params, Spec, Statistics
from headstart.learners.ppo import PPO
from headstart.learners.teachers import task_index
from headstart.losses.weighted import standardize
from headstart.nets.contract import PolicyContract, network_steps, observation_steps, step
from headstart.nets.mlp import MLP, mlp
from headstart.nets.values import QNetwork

MIN_STD, MAX_STD = 1e-4, 1e6


@dataclasses.dataclass(frozen=True)
class PopArt(Method):
    """The base learner with a value head for each source, normalized by the mean and std of that source's returns."""

    base: Method = dataclasses.field(default_factory=PPO)  # in both domains: PPO or DQN, or a method over them
    step_size: float | None = None  # of the statistics after a rollout, in (0, 1]; None: 0.1, or 0.001 off-policy

    def __post_init__(self) -> None:
        check_range(self, "step_size", 0.0, 1.0, open_low=True)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)

        def init(key, prior):
            params = inner.init(key, prior)
            if prior is not None:
                return params
            value = params.get("value")
            net, discrete = (value.net, True) if isinstance(value, QNetwork) else (value, False)
            if not isinstance(net, MLP):
                raise InputError(
                    f"PopArt needs a learner with PPO's value network or DQN's Q-network (not dueling), and "
                    f"{self.base!r} has neither; use PPO or DQN."
                )
            shape, tasks = (spec.action_space.size,) if discrete else (), max(spec.task_id_dim, 1)
            inputs = (layer.weight.shape[0] for layer in (*net.layers, net.last))
            heads = mlp((*inputs, tasks * math.prod(shape)), 1.0, net.activation, jax.random.fold_in(key, ord("v")))
            value = QNetwork(heads) if discrete else heads
            target_parts = {"target": {**params["target"], "value": value}} if "target" in params else {}
            usual, zeros = 1e-3 if inner.replay.buffer_size else 0.1, jnp.zeros(tasks)
            stats = ReturnStatistics(zeros, zeros + 1.0, zeros, self.step_size or usual, shape, spec.task_id_dim)
            return {**params, **target_parts, "value": value, "returns": stats}

        def prepare(params, rollout, info):
            """The base learner's, with value heads rescaled to its new statistics, and advantages by task."""
            new, rows = inner.prepare(params, rollout, info)
            old, stats = params["returns"], new["returns"]
            new = {**new, "value": rescaled(new["value"], old, stats)}
            if "target" in new:  # expressed in the same units, so that it can be averaged with the network
                new["target"] = {**new["target"], "value": rescaled(new["target"]["value"], old, stats)}
            if "advantage" in rows.extras:
                advantage = standardize(rows.extras["advantage"], rows.weight, axis=(1, 2))
                rows = rows.replace(extras={**rows.extras, "advantage": advantage})
            return new, rows

        def policy_contract(params):
            discrete = isinstance(params["value"], QNetwork)
            return _greedy_contract(params) if discrete else inner.policy_contract(params)

        return inner._replace(init=init, prepare=prepare, policy_contract=policy_contract)


class ReturnStatistics(Statistics):
    """The mean and std of each task's returns, which normalize the outputs of its value head (equations 6 to 9)."""

    mean: Float[Array, "*seed task"]
    square: Float[Array, "*seed task"]  # mean of squared returns
    rollouts: Float[Array, "*seed task"]
    step_size: float = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True, default=())  # of a task's outputs: (actions,), or () for one value
    num_task_ids: int = eqx.field(static=True, default=0)  # how many of the context's first numbers are the task's id

    @property
    def std(self) -> Float[Array, "*seed task"]:
        return jnp.clip(jnp.sqrt(jnp.maximum(self.square - jnp.square(self.mean), 0.0)), MIN_STD, MAX_STD)

    def _task(self, context: Float[Array, "*n context"]) -> Array:
        return task_index(context[..., : self.num_task_ids])

    def select(self, outputs: Float[Array, " output"], context: Float[Array, " context"]) -> Float[Array, "*action"]:
        """Returns the normalized values of the context's task."""
        return outputs.reshape(-1, *self.shape)[self._task(context)]

    def value(self, outputs: Float[Array, " output"], context: Float[Array, " context"]) -> Float[Array, "*action"]:
        """Returns them in the reward's units."""
        task = self._task(context)
        return self.std[task] * self.select(outputs, context) + self.mean[task]

    def normalize(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"]) -> Float[Array, "*n"]:
        """Returns returns in standard deviations from their task's mean."""
        task = self._task(context)
        return (returns - self.mean[task]) / self.std[task]

    def update(
        self, returns: Float[Array, "*n"], context: Float[Array, "*n context"], weight: Float[Array, "*n"]
    ) -> "ReturnStatistics":
        """Returns the statistics after more returns. The first rollouts have equal weights."""
        own = jax.nn.one_hot(self._task(context), self.mean.size) * weight[..., None]
        total = own.reshape(-1, self.mean.size).sum(0)
        average = lambda x: (own * x[..., None]).reshape(-1, self.mean.size).sum(0) / jnp.maximum(total, 1e-8)
        share = jnp.where(total > 0, jnp.maximum(self.step_size, 1.0 / (self.rollouts + 1.0)), 0.0)
        returns = jnp.where(weight > 0, returns, 0.0)
        move = lambda old, x: old + share * (average(x) - old)
        square = move(self.square, jnp.square(returns))
        return self.replace(mean=move(self.mean, returns), square=square, rollouts=self.rollouts + (total > 0))


def rescaled(value: MLP | QNetwork, old: ReturnStatistics, new: ReturnStatistics) -> MLP | QNetwork:
    """Returns the network with the same values under new statistics (equations 8 and 9)."""
    of_task = lambda x: jnp.repeat(x, math.prod(old.shape))
    scale, shift = of_task(old.std / new.std), of_task((old.mean - new.mean) / new.std)
    last = lambda value: (value.net if isinstance(value, QNetwork) else value).last
    weight, bias = last(value).weight * scale[None], last(value).bias * scale + shift
    return eqx.tree_at(lambda value: (last(value).weight, last(value).bias), value, (weight, bias))


def _greedy_contract(params: Params) -> PolicyContract:
    """Returns the contract of the greedy action of the task's own values; statistics do not change it."""
    stats = params["returns"]
    inputs = (*observation_steps(params), step("concatenate", ("features", "context"), "x"))
    select = (
        step("which", ("context",), "task", first=stats.num_task_ids),
        step("row", ("x", "task"), "x", length=stats.shape[0]),
    )
    greedy = step("argmax", ("x",), "action")
    return PolicyContract((*inputs, *network_steps(params["value"].net, "params.value.net"), *select, greedy))
