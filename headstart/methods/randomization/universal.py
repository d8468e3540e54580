"""Universal policy: it is given the physical parameters of each episode, also in the target. The value of knowing them.

Transfers: policy, value and encoder or normalizer, for all parameters of the ensemble; and their mean and std.
Assumes: the target's parameters are known, and nearly among the ensemble's.
Fails when: they are not known; then it is the upper bound for methods that identify them (UP-OSI).
Source: arXiv:1702.02453, section III-A: the universal policy, and the row "true parameters" of its figures.
Departs from it in: PPO for TRPO; parameters are given in standard deviations of those seen so far.
"""

import dataclasses

from headstart.core.errors import InputError
from headstart.core.types import Learner, Method, Spec
from headstart.learners.context_encoder import ContextEncoder, with_context_encoder
from headstart.learners.ppo import PPO
from headstart.nets.contract import PolicyContract, normalizing_step
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std


@dataclasses.dataclass(frozen=True)
class UniversalPolicy(Method):
    """The base learner, given the episode's parameters besides observations."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains

    def build(self, spec: Spec, target: bool) -> Learner:
        check_parameters("UniversalPolicy", spec)
        inner = self.base.learner(spec.with_encoded_context(spec.num_parameters), target)

        def init(key, prior):
            if prior is not None:
                check_parameters("UniversalPolicy", spec, prior.get("parameter_scale"))
            return {"parameter_scale": running_mean_std(spec.num_parameters), **inner.init(key, prior)}

        def update_statistics(params, rollout):
            parameters = rollout.extras["memory"].reshape(-1, spec.num_parameters)
            scale = params["parameter_scale"].update(parameters, rollout.weight.reshape(-1))
            return {**params, "parameter_scale": scale}

        def policy_contract(params):
            given = normalizing_step("parameters", "encoded", "params.parameter_scale")
            return PolicyContract((given,), inputs=("parameters",))

        encoder = ContextEncoder(
            init_memory=lambda parameters: parameters,
            encode=lambda params, memory, obs: params["parameter_scale"].normalize(memory),
            update_statistics=(lambda params, rollout: params) if target else update_statistics,
            policy_contract=policy_contract,
        )
        return with_context_encoder(inner, encoder)._replace(init=init)


def check_parameters(owner: str, spec: Spec, known: RunningMeanStd | None = None) -> None:
    """Raises InputError where the env has no parameters, or others than `known`."""
    if not spec.num_parameters:
        raise InputError(f"{owner} uses the env's parameters, and this env lists none; use another env.")
    if known is not None and known.mean.size != spec.num_parameters:
        raise InputError(
            f"{owner} was trained with {known.mean.size} parameters, and the target has {spec.num_parameters}; name "
            "the same disturbances (such as action_delay) in both tasks."
        )
