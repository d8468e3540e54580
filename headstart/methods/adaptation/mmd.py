"""MMD: features of both domains that lie in one cloud, by a penalty on the distance between their clouds.

Transfers: nothing that was learned before: source and target are learned side by side, and of the target only images
are seen, never rewards.
Assumes: what differs between the domains' images is nothing that matters, and both show the same things equally often.
Fails when: what is shown is not equally often the same, or the same action leads elsewhere.
Source: arXiv:1412.3474 (deep domain confusion), equations 1 and 2; arXiv:1502.02791 for several Gaussian kernels.
Departs from it in: the loss on the source's labels is a learner's; features are measured by their spread, since those
that are not can come near one another by becoming small.
"""

import dataclasses
import functools
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import check_choices, check_range
from headstart.core.types import Knowledge, Learner, Method, Metrics, Spec
from headstart.learners.ppo import PPO
from headstart.losses.domain_confusion import mmd
from headstart.methods.adaptation import Domains, RowWeights, with_alignment_loss


@dataclasses.dataclass(frozen=True)
class MMD(Method):
    """The base learner on the source, and a penalty on how far the target's features lie from the source's."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns the source from images; its batch: 64 or more
    source_steps_per_target_step: int = 4  # steps in the source for each in the target, >= 1
    weight: float = 1.0  # λ of the penalty, >= 0
    kernel: Literal["linear", "gaussian"] = "gaussian"  # linear: the clouds' means; gaussian: their shapes too

    def __post_init__(self) -> None:
        check_choices(self, "kernel")
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "weight", 0.0, float("inf"))

    def build(self, spec: Spec, target: bool) -> Learner:
        return with_alignment_loss(self, spec, target, functools.partial(_approach, self))


def _approach(
    config: MMD,
    k: Knowledge,
    features: Float[Array, "row feature"],
    domain: Domains,
    share: RowWeights,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    found = mmd(features, jnp.where(domain == 1, -share, share), config.kernel)
    return config.weight * found, {"mmd": found}
