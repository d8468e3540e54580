"""MMD: a penalty on the maximum mean discrepancy between the features of both domains.

Transfers: the encoder, policy and value, trained in the source with images of the target beside it; no target rewards.
Assumes: domains differ in images only in what does not matter, and both show the same contents equally often.
Fails when: the domains show different contents, or the same action has another effect.
Source: arXiv:1412.3474 (deep domain confusion), equations 1 and 2; arXiv:1502.02791 for several Gaussian kernels.
Departs from it in: the label loss is a base learner's loss; features are divided by their spread, since they could
otherwise come closer by shrinking.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from headstart.core.errors import check_choices, check_range
from headstart.core.types import Learner, Method, Spec
from headstart.learners.ppo import PPO
from headstart.losses.domain_confusion import mmd
from headstart.methods.adaptation import with_alignment_loss


@dataclasses.dataclass(frozen=True)
class MMD(Method):
    """The base learner in the source, with a penalty on the distance between the domains' feature distributions."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, on images; its batch_size: 64 or more
    source_steps_per_target_step: int = 4  # source steps per target step, >= 1
    weight: float = 1.0  # λ of the penalty, >= 0
    kernel: Literal["linear", "gaussian"] = "gaussian"  # linear compares means; gaussian compares all moments

    def __post_init__(self) -> None:
        check_choices(self, "kernel")
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "weight", 0.0, float("inf"))

    def build(self, spec: Spec, target: bool) -> Learner:
        def discrepancy(params, features, domain, weight, info):
            distance = mmd(features, jnp.where(domain == 1, -weight, weight), self.kernel)
            return self.weight * distance, {"mmd": distance}

        return with_alignment_loss(self, spec, target, discrepancy)
