"""Universal policy: told the parameters of each episode, of the target too. What it is worth to know them.

Transfers: policy, value and features (normaliser), for all parameters of the ensemble; and their mean and spread.
Assumes: the target's parameters are known, and nearly among the ensemble's.
Fails when: they are not known; then it is the ceiling of what identifies them (UP-OSI).
Source: arXiv:1702.02453, section III-A: the universal policy, and the row "true parameters" of its figures.
Departs from it in: PPO for TRPO; parameters are told in standard deviations of those seen so far.
"""

import dataclasses
import functools

from headstart.core.errors import InputError
from headstart.core.types import Key, Knowledge, Learner, Method, Spec, Transition
from headstart.learners.context_encoder import ContextEncoder, with_context_encoder
from headstart.learners.ppo import PPO
from headstart.nets.contract import PolicyContract, normalizing_step
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std


@dataclasses.dataclass(frozen=True)
class UniversalPolicy(Method):
    """The base learner, told the parameters of the episode beside what it sees."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains

    def build(self, spec: Spec, target: bool) -> Learner:
        check_parameters("UniversalPolicy", spec)
        inner = self.base.learner(spec.with_encoded_context(spec.num_parameters), target)
        teller = ContextEncoder(
            init_memory=lambda parameters: parameters,
            encode=lambda k, memory, obs: k.model.normalize(memory),
            update_statistics=(lambda k, fresh: k) if target else _include,
            policy_contract=lambda k: PolicyContract(
                (normalizing_step("parameters", "said", "knowledge.model"),), told=("parameters",)
            ),
        )
        return with_context_encoder(inner, teller)._replace(init=functools.partial(_init, inner, spec))


def check_parameters(owner: str, spec: Spec, known: RunningMeanStd | None = None) -> None:
    """Raises InputError where there are no parameters, or others than those that are known."""
    if not spec.num_parameters:
        raise InputError(f"{owner} is about parameters, and this env has none that are listed; use another env.")
    if known is not None and known.mean.size != spec.num_parameters:
        raise InputError(
            f"{owner} knows {known.mean.size} parameters, and the target has {spec.num_parameters}; name the same "
            "disturbances (such as action_delay) in both tasks."
        )


def _init(inner: Learner, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        check_parameters("UniversalPolicy", spec, prior.model)
        return inner.init(key, prior)
    return inner.init(key, None).with_model("UniversalPolicy", running_mean_std(spec.num_parameters))


def _include(k: Knowledge, fresh: Transition) -> Knowledge:
    told = fresh.extras["memory"]
    return k.replace(model=k.model.update(told.reshape(-1, told.shape[-1]), fresh.weight.reshape(-1)))
