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
from headstart.learners.ppo import PPO
from headstart.learners.telling import Teller, tell
from headstart.nets.contract import Contract, normalising
from headstart.nets.moments import Moments, moments


@dataclasses.dataclass(frozen=True)
class UniversalPolicy(Method):
    """The base learner, told the parameters of the episode beside what it sees."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains

    def build(self, spec: Spec, target: bool) -> Learner:
        check_parameters("UniversalPolicy", spec)
        inner = self.base.learner(spec.telling(spec.parameters), target)
        teller = Teller(
            begin=lambda parameters: parameters,
            tell=lambda k, memory, obs: k.model.normalise(memory),
            include=(lambda k, fresh: k) if target else _include,
            contract=lambda k: Contract((normalising("parameters", "said", "knowledge.model"),), told=("parameters",)),
        )
        return tell(inner, teller)._replace(init=functools.partial(_init, inner, spec))


def check_parameters(owner: str, spec: Spec, known: Moments | None = None) -> None:
    """Raises InputError where there are no parameters, or others than those that are known."""
    if not spec.parameters:
        raise InputError(f"{owner} is about parameters, and this env has none that are listed; use another env.")
    if known is not None and known.mean.size != spec.parameters:
        raise InputError(
            f"{owner} knows {known.mean.size} parameters, and the target has {spec.parameters}; name the same "
            "disturbances (such as action_delay) in both tasks."
        )


def _init(inner: Learner, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        check_parameters("UniversalPolicy", spec, prior.model)
        return inner.init(key, prior)
    return inner.init(key, None).with_model("UniversalPolicy", moments(spec.parameters))


def _include(k: Knowledge, fresh: Transition) -> Knowledge:
    told = fresh.extras["memory"]
    return k.replace(model=k.model.include(told.reshape(-1, told.shape[-1]), fresh.weight.reshape(-1)))
