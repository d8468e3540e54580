"""Runs the policy of a checkpoint with numpy and safetensors alone: no JAX, and no headstart.

    policy = Policy("runs/epopt")
    action = policy.act(observation)  # in the env's own units
    policy.reset()  # before every other episode

Copy this file to wherever the policy is used. It reads `recipe.json` and `params.safetensors`, and runs the steps that
the recipe lists under `policy`. A step is one of the operations below, so a recipe cannot make it run anything else.
"""

import json
import pathlib
from typing import Any

import numpy as np
from safetensors.numpy import load_file


class Policy:
    """The deterministic policy, in one episode at a time, with the memory that its method has."""

    def __init__(self, folder: str | pathlib.Path, context: Any = None, parameters: Any = None):
        """Reads a checkpoint. `context` is the one-hot id of the source, where there are several; by default zeros.

        `parameters` are the env's physical parameters, which a universal policy needs.
        """
        recipe = json.loads((pathlib.Path(folder) / "recipe.json").read_text(encoding="utf-8"))
        self.arrays = load_file(pathlib.Path(folder) / "params.safetensors")
        self.contract = recipe["policy"]
        if self.contract is None:
            raise ValueError(f"The recipe does not say how {recipe['method']['class']} acts; use headstart.")
        if "parameters" in self.contract["inputs"] and parameters is None:
            raise ValueError("This policy is given the parameters of an episode; pass them as `parameters`.")
        self.inputs = {"context": np.zeros(recipe["context_dim"], np.float32) if context is None else _floats(context)}
        if parameters is not None:
            self.inputs["parameters"] = _floats(parameters)
        self.reset()

    def reset(self) -> None:
        """Forgets the episode."""
        self.memory = {name: np.zeros(size, np.float32) for name, size in self.contract["memory"].items()}

    def act(self, observation: Any) -> Any:
        """Returns the action for one observation, in the env's own units."""
        values = {"observation": np.asarray(observation), **self.inputs, **self.memory}
        values = self._run(self.contract["steps"], values)
        values = self._run(self.contract["update"], values)
        self.memory = {name: values[name] for name in self.memory}
        return values["command"]

    def _run(self, steps: list[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
        for step in steps:
            constants = {name: x for name, x in step.items() if name not in ("op", "in", "out", "arrays", "of")}
            arrays = {name: self.arrays[array] for name, array in step.get("arrays", {}).items()}
            if "of" in step:  # the arrays of one of several tasks
                arrays = {name: x[values[step["of"]]] for name, x in arrays.items()}
            out = OPERATIONS[step["op"]](*(values[name] for name in step["in"]), **arrays, **constants)
            values = {**values, step["out"]: out}
        return values


def _floats(x: Any) -> np.ndarray:
    return np.asarray(x, np.float32)


def normalize(x: Any, mean: Any, variance: Any, epsilon: float, clip: float, negligible: float) -> np.ndarray:
    """Returns the deviations from the mean, in standard deviations; numbers that never varied are not scaled."""
    constant = variance <= np.float32(negligible**2) * np.maximum(mean**2, 1)
    return np.clip((_floats(x) - mean) / np.where(constant, 1, np.sqrt(variance + np.float32(epsilon))), -clip, clip)


def patches(x: Any, side: int, stride: int) -> np.ndarray:
    """Returns every square of that side, `stride` pixels apart, flattened by rows, columns and channels."""
    squares = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::stride, ::stride]
    return squares.transpose(0, 1, 3, 4, 2).reshape(*squares.shape[:2], -1)


def gru(x: Any, state: Any, weight_ih: Any, weight_hh: Any, bias: Any, bias_n: Any) -> np.ndarray:
    """Returns the next state of a gated recurrent unit."""
    of_input, of_state = np.split(weight_ih @ x + bias, 3), np.split(weight_hh @ state, 3)
    reset, keep = (1 / (1 + np.exp(-(of_input[i] + of_state[i]))) for i in range(2))
    new = np.tanh(of_input[2] + reset * (of_state[2] + bias_n))
    return new + keep * (state - new)


def recall(past: Any, steps: int, observation: int, **statistics: Any) -> np.ndarray:
    """Returns the encoding of the last steps: whether there was one, its observation (normalized), and its action."""
    there, obs, action = np.split(past.reshape(steps, -1), [1, 1 + observation], axis=1)
    obs = normalize(obs, **statistics) if statistics else obs
    return (there * np.concatenate([there, obs, action], 1)).reshape(-1)


def which(context: Any, first: int | None = None) -> int:
    """Returns the task whose one-hot id is the context's `first` numbers; 0 where these are all 0."""
    return int(np.argmax(context[:first])) if context[:first].size else 0


def push(past: Any, observation: Any, action: Any) -> np.ndarray:
    """Returns the last steps with one more, the newest first; the oldest is dropped."""
    return np.concatenate([np.ones(1, np.float32), _floats(observation), action, past])[: past.size]


def rescale(action: Any, low: list[float | None], high: list[float | None]) -> np.ndarray:
    """Returns an action in the env's units: -1 is `low` and 1 is `high`, clipped; null is no bound."""

    def one(x: float, low: float | None, high: float | None) -> float:
        if low is not None and high is not None:
            return low + (min(max(x, -1.0), 1.0) + 1.0) * 0.5 * (high - low)
        if low is not None:
            return low + max(x + 1.0, 0.0)
        return x if high is None else high - max(1.0 - x, 0.0)

    return _floats([one(*each) for each in zip(action.tolist(), low, high, strict=True)])


OPERATIONS = {
    "copy": _floats,
    "normalize": normalize,
    "divide": lambda x, by: _floats(x) / by,
    "concatenate": lambda *x: np.concatenate(x),
    "slice": lambda x, start, stop: x[start:stop],
    "zeros": lambda n: np.zeros(n, np.float32),
    "one_hot": lambda x, n: np.eye(n, dtype=np.float32)[x],
    "linear": lambda x, weight, bias: x @ weight + bias,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "patches": patches,
    "flatten": np.ravel,
    "gru": gru,
    "recall": recall,
    "push": push,
    "which": which,
    "row": lambda x, i, length: x.reshape(-1, length)[i],
    "argmax": lambda x: int(np.argmax(x)),
    "rescale": rescale,
}
