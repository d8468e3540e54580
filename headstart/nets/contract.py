"""Policy contracts: how a policy acts, as plain data, for programs that read a checkpoint without headstart.

A contract is a list of steps. Each has its operation `op`, the names of its inputs (`in`) and of its output (`out`),
constants, and under `arrays` the names of the arrays that it uses. `examples/numpy_policy.py` runs them with numpy
alone. Learners write their own contract (`Learner.policy_contract`).
"""

import dataclasses
from typing import Any

from headstart.core.types import ActionSpace, Box, Discrete, Params
from headstart.nets.mlp import MLP
from headstart.nets.policies import Categorical, Gaussian, MaskedPolicy, SquashedGaussian
from headstart.nets.running_statistics import CLIP, EPSILON, NEGLIGIBLE
from headstart.nets.values import DuelingQNetwork, QNetwork

Step = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PolicyContract:
    """The steps from an observation to the action of the deterministic policy."""

    steps: tuple[Step, ...]  # from "observation", "context" and the memory to "action", before `rescale`
    memory: dict[str, int] = dataclasses.field(default_factory=dict)  # sizes of what is remembered; zeros at first
    update: tuple[Step, ...] = ()  # from all values to the memory after a step
    inputs: tuple[str, ...] = ()  # what else an episode has to provide: "parameters", the env's physical parameters


def step(op: str, inputs: tuple[str, ...], out: str, arrays: dict[str, str] | None = None, **constants: Any) -> Step:
    """Returns a step: an operation on named values, with its output's name, arrays and constants."""
    data = {"op": op, "in": list(inputs), "out": out, **constants}
    return data if arrays is None else {**data, "arrays": arrays}


def feedforward_contract(params: Params) -> PolicyContract:
    """Returns the contract of a policy, or else of Q-values, on the features of an observation and the context."""
    inputs = (*observation_steps(params), step("concatenate", ("features", "context"), "x"))
    name = "policy" if "policy" in params else "value"
    return PolicyContract((*inputs, *_head_steps(params[name], f"params.{name}")))


def observation_steps(params: Params) -> tuple[Step, ...]:
    """Returns the steps from "observation" to "features"."""
    if "normalizer" in params:
        return (normalizing_step("observation", "features", "params.normalizer"),)
    if "encoder" not in params:
        return (step("copy", ("observation",), "features"),)
    encoder, at, x = params["encoder"], "params.encoder", "features"
    steps = [step("divide", ("observation",), x, by=encoder.max_value)]
    for i, (side, stride, _) in enumerate(encoder.patches):
        steps.append(step("patches", (x,), x, side=side, stride=stride))
        steps += [_linear(x, f"{at}.filters.{i}"), step("relu", (x,), x)]
    return (*steps, step("flatten", (x,), x), _linear(x, f"{at}.dense"), step("relu", (x,), x))


NORMALIZED: dict[str, Any] = {"epsilon": EPSILON, "clip": CLIP, "negligible": NEGLIGIBLE}  # of `RunningMeanStd`


def normalizing_step(value: str, out: str, at: str) -> Step:
    """Returns the step that normalizes a value by the RunningMeanStd of that name."""
    return step("normalize", (value,), out, _statistics(at), **NORMALIZED)


def _statistics(at: str) -> dict[str, str]:
    return {"mean": f"{at}.mean", "variance": f"{at}.variance"}


def network_steps(net: MLP, at: str, out: str = "x") -> tuple[Step, ...]:
    """Returns the steps of a network of that name, from "x" to its output."""
    steps = []
    for i in range(len(net.layers)):
        steps += [_linear("x", f"{at}.layers.{i}"), step(net.activation, ("x",), "x")]
    return (*steps, _linear("x", f"{at}.last", out))


def _linear(value: str, at: str, out: str | None = None) -> Step:
    return step("linear", (value,), out or value, {"weight": f"{at}.weight", "bias": f"{at}.bias"})


def _head_steps(head: Any, at: str) -> tuple[Step, ...]:
    """Returns the steps of a policy or a Q-network of that name, from "x" to "action"."""
    if isinstance(head, MaskedPolicy):
        return (step("slice", ("x",), "x", start=0, stop=-head.unseen), *_head_steps(head.inner, f"{at}.inner"))
    if isinstance(head, Gaussian):
        return network_steps(head.net, f"{at}.net", "action")
    if isinstance(head, SquashedGaussian):
        half = head.net.last.bias.shape[-1] // 2
        mean = step("slice", ("x",), "x", start=0, stop=half)  # the other half are log standard deviations
        return (*network_steps(head.net, f"{at}.net"), mean, step("tanh", ("x",), "action"))
    greedy = step("argmax", ("x",), "action")
    if isinstance(head, DuelingQNetwork):  # the first output, the state's value, is the same for all actions
        return (*network_steps(head.net, f"{at}.net"), step("slice", ("x",), "x", start=1, stop=None), greedy)
    assert isinstance(head, Categorical | QNetwork)
    return (*network_steps(head.net, f"{at}.net"), greedy)


def action_features_step(action: ActionSpace, out: str) -> Step:
    """Returns the step from "action" to the features of an action (`ActionSpace.to_features`)."""
    if isinstance(action, Discrete):
        return step("one_hot", ("action",), out, n=action.n)
    assert isinstance(action, Box)
    return step("copy", ("action",), out)


def history_step(params: Params, length: int, observation: int, out: str) -> Step:
    """Returns the step from "past", the last steps of the episode, to their encoding (`History.encode`)."""
    sizes: dict[str, Any] = {"steps": length, "observation": observation}
    if "normalizer" not in params:
        return step("recall", ("past",), out, **sizes)
    return step("recall", ("past",), out, _statistics("params.normalizer"), **sizes, **NORMALIZED)


def history_update(action: ActionSpace) -> tuple[Step, ...]:
    """Returns the steps that add the newest step to "past" and drop its oldest (`History.push`)."""
    return (
        action_features_step(action, "last_action"),
        step("push", ("past", "observation", "last_action"), "past"),
    )
