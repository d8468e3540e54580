"""Domain randomization: learn on a whole ensemble of source tasks, whose parameters are drawn anew each episode.

Transfers: policy, value and features (normaliser).
Assumes: the source can be randomised, and the target is (nearly) one of its draws.
Fails when: the target lies outside the ensemble, or one memoryless policy cannot serve all of it.
Source: CS 285, "Forward transfer with randomization"; arXiv:1703.06907, arXiv:1710.06537 (without their memory).
Departs from it in: in the target it goes on learning from all it knows, where the papers stop at 0-shot.
"""

import dataclasses

from headstart.core.types import Learner, Method, Spec
from headstart.learners.ppo import PPO


@dataclasses.dataclass(frozen=True)
class Randomize(Method):
    """The base learner, played on the ensemble: what changes is the task, so there is nothing else to say."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains

    def build(self, spec: Spec, target: bool) -> Learner:
        return self.base.learner(spec, target)
