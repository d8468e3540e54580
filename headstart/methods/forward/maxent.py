"""Maximum-entropy finetuning: a source policy that stays random, whose temperature falls while it learns in the target.

Transfers: the policy and the critics of a training at a high temperature: all good ways to act, not one.
Assumes: the source's task has several solutions, of which the target leaves some.
Fails when: the target is so near to the source that the best policy there is the best one here: randomness then costs.
Source: CS 285, "Transfer and Multi-Task Learning" (finetuning with maximum-entropy policies); arXiv:1702.08165
for the annealing.
Departs from it in: SAC's Gaussian policy or PPO's for the paper's sampling network.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, check_range
from headstart.core.types import Info, Learner, Method, Metrics, Params, Phase, Spec, Transition
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
        if isinstance(self.base, SAC):
            base, with_temperature = dataclasses.replace(self.base, temperature=self.source_temperature), _of_sac
        elif isinstance(self.base, PPO):
            base, with_temperature = dataclasses.replace(self.base, entropy_coef=0.0), _of_ppo
        else:
            raise InputError(
                f"MaxEnt sets the temperature of SAC or PPO, and its base is {self.base!r}; use one of them."
            )
        inner = base.learner(spec, target)

        def annealed(phase: Phase) -> Phase:
            def loss(params: Params, batch: Transition, info: Info):
                return with_temperature(phase, self.temperature(info.progress, target), params, batch, info)

            return phase._replace(loss=loss)

        return inner._replace(phases=tuple(map(annealed, inner.phases)))

    def temperature(self, progress: Array | float, target: bool) -> Array:
        """Returns α after this share of the training in the source or the target."""
        fallen = jnp.minimum(progress / self.anneal_fraction, 1.0) if target else 0.0
        return jnp.float32(self.source_temperature) * (self.target_temperature / self.source_temperature) ** fallen


def _of_sac(phase: Phase, alpha: Array, params: Params, batch: Transition, info: Info) -> tuple[Array, Metrics]:
    """Returns SAC's loss at this temperature, and metrics."""
    return phase.loss({**params, "log_alpha": jnp.log(alpha)}, batch, info)


def _of_ppo(phase: Phase, alpha: Array, params: Params, batch: Transition, info: Info) -> tuple[Array, Metrics]:
    """Returns the loss of PPO without an entropy bonus, with one of this weight, and metrics."""
    loss, metrics = phase.loss(params, batch, info)
    return loss - alpha * metrics["entropy"], {**metrics, "alpha": alpha}
