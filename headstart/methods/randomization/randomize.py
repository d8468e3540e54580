"""Domain randomization: train on an ensemble of source tasks, whose parameters are drawn in each episode.

Transfers: policy, value and encoder or normalizer.
Assumes: the source can be randomized, and the target is (nearly) one of its draws.
Fails when: the target lies outside the ensemble, or one memoryless policy cannot solve all of it.
Source: CS 285, "Forward transfer with randomization"; arXiv:1703.06907, arXiv:1710.06537 (without their memory).
Departs from it in: training continues in the target with all parts, where the papers stop at 0-shot.
"""

import dataclasses

from headstart.core.types import Learner, Method, Spec
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class Randomize(Method):
    """The base learner, trained on the ensemble: only the tasks change, not the learner."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains

    def build(self, spec: Spec, target: bool) -> Learner:
        return self.base.learner(spec, target)
