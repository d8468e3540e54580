"""Maximum-entropy finetuning: a source policy that stays random, whose temperature falls while it learns in the target.

Transfers: the policy and the critics of a training at a high temperature: all good ways to act, not one.
Assumes: the source's task has several solutions, of which the target leaves some.
Fails when: the target is so near to the source that the best policy there is the best one here: randomness then costs.
Source: CS 285, "Transfer and Multi-Task Learning" (finetuning with maximum-entropy policies); arXiv:1702.08165, section
5.2 and appendix, for the annealing.
Departs from it in: SAC's Gaussian policy or PPO's for the paper's sampling network.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, check_range
from headstart.core.types import Info, Learner, Method, Params, Phase, Spec, Transition
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC


@dataclasses.dataclass(frozen=True)
class MaxEnt(Method):
    """The base learner at a high temperature in the source, which falls in the target."""

    base: Method = dataclasses.field(default_factory=SAC)  # the learner: SAC or PPO
    source_temperature: float = 0.1  # α in the source, > 0: SAC's temperature, or PPO's entropy_coef
    target_temperature: float = 1e-3  # α in the target, once it has fallen, > 0
    anneal_fraction: float = 0.1  # share of the target's training in which log α falls linearly, in (0, 1]

    def __post_init__(self) -> None:
        for name in ("source_temperature", "target_temperature"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "anneal_fraction", 0.0, 1.0, open_low=True)

    def build(self, spec: Spec, target: bool) -> Learner:
        if isinstance(self.base, PPO):
            inner = self.base.learner(spec, target)
            return inner._replace(phases=tuple(self._with_entropy_bonus(phase, target) for phase in inner.phases))
        if not isinstance(self.base, SAC):
            raise InputError(
                f"MaxEnt sets the temperature of SAC or PPO, and its base is {self.base!r}; use one of them."
            )
        inner = dataclasses.replace(self.base, temperature=self.source_temperature).learner(spec, target)

        def prepare(params, rollout, info):
            params, rows = inner.prepare(params, rollout, info)
            return {**params, "log_alpha": jnp.log(self.temperature(info.progress, target))}, rows

        return inner._replace(prepare=prepare)

    def temperature(self, progress: Array | float, target: bool) -> Array:
        """Returns α after this share of the training in the source or the target."""
        fallen = jnp.minimum(progress / self.anneal_fraction, 1.0) if target else 0.0
        return jnp.float32(self.source_temperature) * (self.target_temperature / self.source_temperature) ** fallen

    def _with_entropy_bonus(self, phase: Phase, target: bool) -> Phase:
        """Returns PPO's phase with α in the place of its entropy_coef."""
        assert isinstance(self.base, PPO)
        own = self.base.entropy_coef

        def loss(params: Params, batch: Transition, info: Info):
            total, metrics = phase.loss(params, batch, info)
            alpha = self.temperature(info.progress, target)
            return total + (own - alpha) * metrics["entropy"], {**metrics, "alpha": alpha}

        return phase._replace(loss=loss)
