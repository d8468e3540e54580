"""How a policy acts, as plain data: what whoever reads a checkpoint without headstart does, step after step.

A step is a table: its operation `op`, the names of the values that it takes (`in`) and of the one that it makes
(`out`), its constants, and under `arrays` the names of the arrays that it takes. `examples/numpy_policy.py` reads them
by numpy alone. Learners write their own contract (`Learner.contract`), beside what it is a contract of.
"""

import dataclasses
from typing import Any

from headstart.core.types import ActionSpace, Box, Discrete, Knowledge
from headstart.nets.encoders import Convolutions, Encoder
from headstart.nets.mlp import MLP
from headstart.nets.policies import Categorical, Gaussian, MaskedPolicy, SquashedGaussian
from headstart.nets.running_statistics import CLIP, EPSILON, NEGLIGIBLE, RunningMeanStd
from headstart.nets.values import DuelingQNetwork, QNetwork

Step = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PolicyContract:
    """What leads from an observation to the action of a policy that does not explore."""

    steps: tuple[Step, ...]  # from "observation", "context" and what is remembered to "action", before `Space.rescale`
    memory: dict[str, int] = dataclasses.field(default_factory=dict)  # sizes of what is remembered; 0 in the beginning
    remember: tuple[Step, ...] = ()  # from all values to what is remembered after a step
    told: tuple[str, ...] = ()  # what else has to be told of an episode: "parameters", the env's own numbers


def step(op: str, taken: tuple[str, ...], made: str, arrays: dict[str, str] | None = None, **constants: Any) -> Step:
    """Returns a step: an operation on values, what it makes of them, and what else it takes."""
    told = {"op": op, "in": list(taken), "out": made, **constants}
    return told if arrays is None else {**told, "arrays": arrays}


def feedforward_contract(k: Knowledge) -> PolicyContract:
    """Returns the contract of a policy, or of Q-values, that is told what is seen and then the context."""
    seen = (*observation_steps(k.features), step("concatenate", ("seen", "context"), "x"))
    says, at = (k.value, "knowledge.value") if k.policy is None else (k.policy, "knowledge.policy")
    return PolicyContract((*seen, *_head_steps(says, at)))


def observation_steps(features: Encoder) -> tuple[Step, ...]:
    """Returns the steps from "observation" to "seen"."""
    at = "knowledge.features"
    if isinstance(features, RunningMeanStd):
        return (normalizing_step("observation", "seen", at),)
    if not isinstance(features, Convolutions):
        return (step("copy", ("observation",), "seen"),)
    steps = [step("divide", ("observation",), "seen", by=features.max_value)]
    for i, (side, stride, _) in enumerate(features.patches):
        steps.append(step("patches", ("seen",), "seen", side=side, stride=stride))
        steps += [_linear("seen", f"{at}.filters.{i}"), step("relu", ("seen",), "seen")]
    steps += [step("flatten", ("seen",), "seen"), _linear("seen", f"{at}.dense"), step("relu", ("seen",), "seen")]
    return tuple(steps)


NORMALIZED: dict[str, Any] = {"epsilon": EPSILON, "clip": CLIP, "negligible": NEGLIGIBLE}  # as `Moments` do


def normalizing_step(taken: str, made: str, at: str) -> Step:
    """Returns the step from a value to standard deviations from its mean, by the moments of that name."""
    return step("normalise", (taken,), made, _statistics(at), **NORMALIZED)


def _statistics(at: str) -> dict[str, str]:
    return {"mean": f"{at}.mean", "variance": f"{at}.variance"}


def network_steps(net: MLP, at: str, made: str = "x") -> tuple[Step, ...]:
    """Returns the steps from "x" to what a network of that name makes of it."""
    steps = []
    for i in range(len(net.layers)):
        steps += [_linear("x", f"{at}.layers.{i}"), step(net.activation, ("x",), "x")]
    return (*steps, _linear("x", f"{at}.last", made))


def _linear(taken: str, at: str, made: str | None = None) -> Step:
    return step("linear", (taken,), made or taken, {"weight": f"{at}.weight", "bias": f"{at}.bias"})


def _head_steps(says: Any, at: str) -> tuple[Step, ...]:
    """Returns the steps from "x" to "action", by a policy or by Q-values of that name."""
    if isinstance(says, MaskedPolicy):
        return (step("slice", ("x",), "x", start=0, stop=-says.unseen), *_head_steps(says.inner, f"{at}.inner"))
    if isinstance(says, Gaussian):
        return network_steps(says.net, f"{at}.net", "action")
    if isinstance(says, SquashedGaussian):
        half = says.net.last.bias.shape[-1] // 2
        mean = step("slice", ("x",), "x", start=0, stop=half)  # the other half are logarithms of deviations
        return (*network_steps(says.net, f"{at}.net"), mean, step("tanh", ("x",), "action"))
    best = step("argmax", ("x",), "action")
    if isinstance(says, DuelingQNetwork):  # the state's value, which comes first, is the same for all choices
        return (*network_steps(says.net, f"{at}.net"), step("slice", ("x",), "x", start=1, stop=None), best)
    assert isinstance(says, Categorical | QNetwork)
    return (*network_steps(says.net, f"{at}.net"), best)


def action_features_step(action: ActionSpace, made: str) -> Step:
    """Returns the step from "action" to what a network is told of it (`Space.numbers`)."""
    if isinstance(action, Discrete):
        return step("one_hot", ("action",), made, n=action.n)
    assert isinstance(action, Box)
    return step("copy", ("action",), made)


def history_step(k: Knowledge, steps: int, observation: int, made: str) -> Step:
    """Returns the step from "past", the last steps as they were, to what a network is told of them (`History.read`)."""
    sizes: dict[str, Any] = {"steps": steps, "observation": observation}
    if not isinstance(k.features, RunningMeanStd):
        return step("recall", ("past",), made, **sizes)
    return step("recall", ("past",), made, _statistics("knowledge.features"), **sizes, **NORMALIZED)


def history_update(action: ActionSpace) -> tuple[Step, ...]:
    """Returns the steps by which "past" becomes one step longer, and forgets its oldest (`History.push`)."""
    return (action_features_step(action, "done"), step("push", ("past", "observation", "done"), "past"))
