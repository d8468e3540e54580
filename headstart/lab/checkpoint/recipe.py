"""A policy's contract, as plain data: what it sees and does, in which units, how processed, and how it came about."""

import sys
from importlib.metadata import version
from typing import Any

import numpy as np

from headstart.core.spaces import UNBOUNDED, Component, ObservationSpace
from headstart.core.types import ActionSpace, Box, Discrete, Image, Spec
from headstart.lab.checkpoint.trained import Trained
from headstart.methods import describe, rebuild
from headstart.nets.contract import PolicyContract, step
from headstart.protocol.prior import Training

FORMAT = "headstart checkpoint 6"
LIBRARIES = ("headstart", "jax", "equinox", "optax", "numpyro", "gymnasium", "mujoco", "numpy")
COUNTS = ("context_dim", "num_cumulants", "num_tasks", "num_parameters")  # of a spec
DOMAINS = ("source", "target")
CLIPPED = (
    "clipped to [-1, 1], then scaled to [low, high]; low + max(action + 1, 0) where only low is finite, "
    "high - max(1 - action, 0) where only high is; where neither is, taken as it is"
)


def write_recipe(trained: Trained, arrays: dict[str, np.ndarray], sha256: str) -> dict[str, Any]:
    """-> the contract of what was trained, whose arrays are stored in a file of that checksum."""
    spec = trained.spec
    return {
        "format": FORMAT,
        **write_stage(trained.stages[-1]),
        "before": [write_stage(stage) for stage in trained.before],
        "trained_on": trained.trained_on,
        "sources": trained.sources,
        "budgets": trained.budgets,
        "steps": trained.steps,
        "gradient_steps": trained.gradient_steps,
        "seed": trained.seed,
        "action_processing": CLIPPED if isinstance(spec.action_space, Box) else "an index",
        "time_step": trained.dt,
        "policy": write_policy(trained),
        "arrays": {name: {"shape": x.shape, "dtype": str(x.dtype)} for name, x in arrays.items()},
        "sha256": sha256,
        "versions": versions(),
    }


def read_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """-> the fields of what was trained, but for its state.

    Raises InputError where the method says what is wrong, and else KeyError, TypeError, AttributeError or ValueError.
    """
    method, spec, adapted = read_stage(recipe)
    interval = recipe["time_step"]
    return {
        "method": method,
        "spec": spec,
        "adapted": adapted,
        "before": tuple(map(read_stage, recipe["before"])),
        **{name: int(recipe[name]) for name in ("steps", "seed", "gradient_steps")},
        "trained_on": str(recipe["trained_on"]),
        "sources": tuple(map(str, recipe["sources"])),
        "dt": None if interval is None else float(interval),
        "budgets": tuple(map(dict, recipe["budgets"])),
    }


def write_stage(stage: Training) -> dict[str, Any]:
    """Returns a training as plain data: by what, in which spaces, and in which domain."""
    spaces = {name: write_space(getattr(stage.spec, name)) for name in ("observation_space", "action_space")}
    counts = {name: getattr(stage.spec, name) for name in COUNTS}
    return {"method": describe(stage.method), "domain": DOMAINS[stage.target], **spaces, **counts}


def read_stage(data: dict[str, Any]) -> Training:
    """Returns the training that was written so. Raises as `read_recipe` does."""
    if not isinstance(data["method"], dict):
        raise TypeError("a method is a table")
    observation, action = read_space(data["observation_space"]), read_space(data["action_space"])
    if not isinstance(observation, ObservationSpace):
        raise TypeError("an observation is a box or an image")
    if not isinstance(action, ActionSpace):
        raise TypeError("an action is a box or discrete")
    spec = Spec(observation, action, **{name: int(data[name]) for name in COUNTS})
    return Training(rebuild(data["method"]), spec, bool(DOMAINS.index(data["domain"])))


def versions() -> dict[str, str]:
    """-> the libraries that a result depends on."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}


def write_policy(trained: Trained) -> dict[str, Any] | None:
    """Returns how the policy acts, as its learner says, and in the env's units; None where the learner does not."""
    learner = trained.method.learner(trained.spec._replace(num_tasks=1), target=True)
    contract: PolicyContract | None = learner.policy_contract(trained.state.params)
    if contract is None:
        return None
    action = trained.spec.action_space
    to_units = step("copy", ("action",), "command")
    if isinstance(action, Box):
        ends: dict[str, Any] = {
            side: [x if abs(x) < UNBOUNDED else None for x in getattr(action, side)] for side in ("low", "high")
        }
        to_units = step("rescale", ("action",), "command", **ends)
    return {
        "inputs": ("observation", "context", *contract.inputs),
        "memory": contract.memory,
        "steps": (*contract.steps, to_units),
        "update": contract.update,
    }


def write_space(space: ObservationSpace | ActionSpace) -> dict[str, Any]:
    """-> a space as plain data."""
    if isinstance(space, Image):
        return {"kind": "image", "shape": space.shape, "dtype": space.dtype}
    if isinstance(space, Discrete):
        told = {"components": [c.name for c in space.components]} if space.components else {}
        return {"kind": "discrete", "n": space.n, **told}
    bounds = {side: [x if abs(x) != float("inf") else str(x) for x in getattr(space, side)] for side in ("low", "high")}
    told = {"components": [c._asdict() for c in space.components]} if space.components else {}
    return {
        "kind": "box",
        **told,
        **bounds,
        **({"one_hot_groups": space.one_hot_groups} if space.one_hot_groups else {}),
    }


def read_space(data: dict[str, Any]) -> ObservationSpace | ActionSpace:
    """-> the space that was written so. Raises KeyError, TypeError, ValueError or InputError where it was none."""
    if data["kind"] == "image":
        return Image(tuple(map(int, data["shape"])), data["dtype"])
    if data["kind"] == "discrete":
        return Discrete(int(data["n"]), tuple(Component(str(name)) for name in data.get("components", ())))
    low, high = (tuple(map(float, data[side])) for side in ("low", "high"))
    told = tuple(Component(str(c["name"]), str(c["unit"])) for c in data.get("components", ()))
    return Box(low, high, tuple(map(int, data.get("one_hot_groups", ()))), told)
