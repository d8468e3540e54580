"""Joint: one learner for several tasks, given the task's id as context; and gradient surgery where tasks conflict.

Transfers: policy, value and encoder or normalizer of the policy for all sources.
Assumes: the sources are tasks of one env and have something in common; the target is like some of them.
Fails when: tasks need opposite values of the same weights, or one task's gradients dominate the others'.
Source: CS 285 (a joint MDP); arXiv:2001.06782 (PCGrad), arXiv:1810.04650 (MGDA), arXiv:2110.14048 (CAGrad).
Departs from it in: surgery treats encoder, policy and value separately; directions are in the scale of the mean
gradient, where PCGrad's paper sums; single numbers, such as SAC's temperature, follow the mean.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Key, Learner, Method, Metrics, Params, PyTree, Spec
from headstart.learners.ppo import PPO
from headstart.losses.surgery import SURGERIES, Gram, Weights, diagnose

SHARED_PARTS = ("encoder", "policy", "value")  # in which tasks share weights


@dataclasses.dataclass(frozen=True)
class Joint(Method):
    """The base learner on all sources together, with a rule that combines their gradients.

    Each task's gradient is taken separately even with "mean", to report how they conflict, so a step costs more than
    the base learner's. With one source, and in the target, it is the base learner.
    """

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains
    surgery: Literal["mean", "pcgrad", "mgda", "cagrad"] = "mean"  # how the tasks' gradients are combined
    cagrad_c: float = 0.5  # CAGrad's c: largest distance from the mean gradient, in units of its length, in [0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "surgery")
        check_range(self, "cagrad_c", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if inner.allocate_envs is not None:
            raise InputError(
                "Joint gives each source's gradient the same weight, and its base weighs sources by how much each was "
                "played; choose another base."
            )
        if spec.num_tasks == 1:
            return inner
        return inner._replace(phases=tuple(phase._replace(combine=self._combine) for phase in inner.phases))

    def _combine(self, gradients: Params, losses: Float[Array, " task"], key: Key) -> tuple[Params, Metrics]:
        """Returns one gradient from those of the tasks, and how they conflict."""
        direction = jax.tree.map(lambda x: x.mean(0), gradients)
        metrics = {f"loss_{i + 1}": loss for i, loss in enumerate(losses)}
        for part in SHARED_PARTS:
            if jax.tree.leaves(gradients.get(part)):
                products = gram(gradients[part])
                weights = self._weights(products, key)
                weighted_sum = functools.partial(jnp.tensordot, weights, axes=1)
                direction[part] = jax.tree.map(weighted_sum, gradients[part])
                metrics |= {f"{part}_{name}": x for name, x in diagnose(products).items()}
        return direction, metrics

    def _weights(self, products: Gram, key: Key) -> Weights:
        surgery = SURGERIES[self.surgery]
        return surgery(products, key, self.cagrad_c) if self.surgery == "cagrad" else surgery(products, key)


def gram(gradients: PyTree) -> Gram:
    """Returns the inner products of gradients, whose leaves have a leading task axis."""
    rows = [x.reshape(x.shape[0], -1) for x in jax.tree.leaves(gradients)]
    return functools.reduce(jnp.add, [x @ x.T for x in rows])
