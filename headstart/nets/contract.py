"""A policy as plain data, for programs that read a checkpoint without headstart: a list of steps.

A step is a table: its operation `op`, the names of its inputs (`in`) and of its output (`out`), its constants, and
under `arrays` the names of the arrays that it uses. `examples/numpy_policy.py` runs such steps with numpy alone.
Learners return the contract of their policy by `Learner.policy_contract`.
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
    """How an observation becomes the action of a policy that does not explore."""

    # From "observation", "context" and the memory to "action", before `rescale` of the action space.
    steps: tuple[Step, ...]
    # Sizes of the values that the policy remembers; 0 at first.
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    remember: tuple[Step, ...] = ()  # from all values to the memory after a step
    told: tuple[str, ...] = ()  # other inputs of an episode: "parameters", the env's own


def step(op: str, inputs: tuple[str, ...], output: str, arrays: dict[str, str] | None = None, **constants: Any) -> Step:
    """Returns a step: an operation, the values it takes, the value it makes, its arrays and constants."""
    table = {"op": op, "in": list(inputs), "out": output, **constants}
    return table if arrays is None else {**table, "arrays": arrays}


def feedforward_contract(k: Knowledge) -> PolicyContract:
    """Returns the contract of a policy, or of Q-values, whose input is the encoded observation and the context."""
    seen = (*observation_steps(k.features), step("concatenate", ("seen", "context"), "x"))
    head, at = (k.value, "knowledge.value") if k.policy is None else (k.policy, "knowledge.policy")
    return PolicyContract((*seen, *_head_steps(head, at)))


def observation_steps(features: Encoder) -> tuple[Step, ...]:
    """Returns the steps from "observation" to "seen", the encoded observation."""
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


# As `RunningMeanStd` has them.
NORMALIZED: dict[str, Any] = {"epsilon": EPSILON, "clip": CLIP, "negligible": NEGLIGIBLE}


def normalizing_step(inputs: str, output: str, at: str) -> Step:
    """Returns the step that normalizes a value by the running statistics named `at`."""
    return step("normalise", (inputs,), output, _statistics(at), **NORMALIZED)


def _statistics(at: str) -> dict[str, str]:
    return {"mean": f"{at}.mean", "variance": f"{at}.variance"}


def network_steps(net: MLP, at: str, output: str = "x") -> tuple[Step, ...]:
    """Returns the steps from "x" to the output of the network named `at`."""
    steps = []
    for i in range(len(net.layers)):
        steps += [_linear("x", f"{at}.layers.{i}"), step(net.activation, ("x",), "x")]
    return (*steps, _linear("x", f"{at}.last", output))


def _linear(inputs: str, at: str, output: str | None = None) -> Step:
    return step("linear", (inputs,), output or inputs, {"weight": f"{at}.weight", "bias": f"{at}.bias"})


def _head_steps(head: Any, at: str) -> tuple[Step, ...]:
    """Returns the steps from "x" to "action", by the policy or the Q-values named `at`."""
    if isinstance(head, MaskedPolicy):
        return (step("slice", ("x",), "x", start=0, stop=-head.unseen), *_head_steps(head.inner, f"{at}.inner"))
    if isinstance(head, Gaussian):
        return network_steps(head.net, f"{at}.net", "action")
    if isinstance(head, SquashedGaussian):
        half = head.net.last.bias.shape[-1] // 2
        mean = step("slice", ("x",), "x", start=0, stop=half)  # the other half is log σ
        return (*network_steps(head.net, f"{at}.net"), mean, step("tanh", ("x",), "action"))
    best = step("argmax", ("x",), "action")
    if isinstance(head, DuelingQNetwork):  # the first output is the state's value, the same for all actions
        return (*network_steps(head.net, f"{at}.net"), step("slice", ("x",), "x", start=1, stop=None), best)
    assert isinstance(head, Categorical | QNetwork)
    return (*network_steps(head.net, f"{at}.net"), best)


def action_features_step(action: ActionSpace, output: str) -> Step:
    """Returns the step from "action" to its form as a network's input (`to_features` of the action space)."""
    if isinstance(action, Discrete):
        return step("one_hot", ("action",), output, n=action.n)
    assert isinstance(action, Box)
    return step("copy", ("action",), output)


def history_step(k: Knowledge, steps: int, observation: int, output: str) -> Step:
    """Returns the step from "past", the last steps as they were, to a network's input (`History.encode`)."""
    sizes: dict[str, Any] = {"steps": steps, "observation": observation}
    if not isinstance(k.features, RunningMeanStd):
        return step("recall", ("past",), output, **sizes)
    return step("recall", ("past",), output, _statistics("knowledge.features"), **sizes, **NORMALIZED)


def history_update(action: ActionSpace) -> tuple[Step, ...]:
    """Returns the steps that append a step to "past" and drop its oldest (`History.push`)."""
    return (action_features_step(action, "done"), step("push", ("past", "observation", "done"), "past"))
