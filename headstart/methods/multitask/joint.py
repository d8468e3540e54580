"""Joint: one learner for several tasks, told which one it is in; and gradient surgery, where they get in conflict.

Transfers: policy, value and features (normaliser) of the policy for all sources.
Assumes: the sources are tasks of one env and have something in common; the target is like some of them.
Fails when: tasks want opposite things of the same weights, or one task's gradients drown the others'.
Source: CS 285 (a joint MDP); arXiv:2001.06782 (PCGrad), arXiv:1810.04650 (MGDA), arXiv:2110.14048 (CAGrad).
Departs from it in: surgery is done on each of features, policy and value by itself; directions are in the mean
gradient's scale, where PCGrad's paper sums; helpers, such as SAC's temperature, follow the mean.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Metrics, PyTree, Spec
from headstart.learners.ppo import PPO
from headstart.losses.surgery import SURGERIES, Gram, Weights, diagnose

SHARED_PARTS = ("features", "policy", "value")  # where tasks share weights


@dataclasses.dataclass(frozen=True)
class Joint(Method):
    """The base learner on all sources at once; with several of them, their gradients are combined as asked.

    Even by "mean" each task's gradient is taken by itself, to tell how they get along: a step costs more than the
    base learner's. With one source, and in the target, it is the base learner.
    """

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    surgery: Literal["mean", "pcgrad", "mgda", "cagrad"] = "mean"  # how several tasks' gradients become one
    cagrad_c: float = 0.5  # CAGrad's: how far from the mean gradient it may go, in multiples of its length, in [0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "surgery")
        check_range(self, "cagrad_c", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if inner.allocate_envs is not None:
            raise InputError(
                "Joint gives each source's gradient the same say, and its base weighs sources by how much each was "
                "played; choose another base."
            )
        return inner if spec.num_tasks == 1 else inner._replace(combine=functools.partial(_combine, self))


def _combine(joint: Joint, gradients: Knowledge, losses: Float[Array, " task"], key: Key) -> tuple[Knowledge, Metrics]:
    """-> one gradient of many, and how they got along."""
    direction = jax.tree.map(lambda x: x.mean(0), gradients)
    metrics = {f"loss_{i + 1}": loss for i, loss in enumerate(losses)}
    for place in SHARED_PARTS:
        of_place = getattr(gradients, place)
        if jax.tree.leaves(of_place):
            products = gram(of_place)
            weights = _weights(joint, products, key)
            chosen = jax.tree.map(lambda x, weights=weights: jnp.tensordot(weights, x, 1), of_place)
            direction = direction.replace(**{place: chosen})
            metrics |= {f"{place}_{name}": x for name, x in diagnose(products).items()}
    return direction, metrics


def _weights(joint: Joint, products: Gram, key: Key) -> Weights:
    how = SURGERIES[joint.surgery]
    return how(products, key, joint.cagrad_c) if joint.surgery == "cagrad" else how(products, key)


def gram(gradients: PyTree) -> Gram:
    """-> the products of gradients (each leaf with a leading task axis), two by two."""
    rows = [x.reshape(x.shape[0], -1) for x in jax.tree.leaves(gradients)]
    return functools.reduce(jnp.add, [x @ x.T for x in rows])
