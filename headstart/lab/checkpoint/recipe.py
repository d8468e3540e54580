"""`recipe.json` as data: spaces, units, preprocessing and history of a trained policy."""

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

FORMAT = "headstart checkpoint 7"
LIBRARIES = ("headstart", "jax", "equinox", "optax", "numpyro", "gymnasium", "mujoco", "numpy")
COUNTS = ("context_dim", "num_cumulants", "num_tasks", "num_parameters")  # of a spec
DOMAINS = ("source", "target")
CLIPPED = (
    "clipped to [-1, 1], then scaled to [low, high]; low + max(action + 1, 0) where only low is finite, "
    "high - max(1 - action, 0) where only high is; where neither is, taken as it is"
)


def write_recipe(trained: Trained, arrays: dict[str, np.ndarray], sha256: str) -> dict[str, Any]:
    """Returns the recipe of a trained policy whose arrays file has the checksum `sha256`."""
    spec = trained.spec
    return {
        "format": FORMAT,
        **write_stage(trained.stages[-1]),
        "history": [write_stage(stage) for stage in trained.history],
        "trained_on": trained.trained_on,
        "sources": trained.sources,
        "budgets": trained.budgets,
        "steps": trained.steps,
        "gradient_steps": trained.gradient_steps,
        "seed": trained.seed,
        "action_processing": CLIPPED if isinstance(spec.action_space, Box) else "an index",
        "dt": trained.dt,
        "policy": write_policy(trained),
        "arrays": {name: {"shape": x.shape, "dtype": str(x.dtype)} for name, x in arrays.items()},
        "sha256": sha256,
        "versions": versions(),
    }


def read_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of `Trained` except its state.

    Raises InputError if the method is invalid, else KeyError, TypeError, AttributeError or ValueError.
    """
    method, spec, adapted = read_stage(recipe)
    interval = recipe["dt"]
    return {
        "method": method,
        "spec": spec,
        "adapted": adapted,
        "history": tuple(map(read_stage, recipe["history"])),
        **{name: int(recipe[name]) for name in ("steps", "seed", "gradient_steps")},
        "trained_on": str(recipe["trained_on"]),
        "sources": tuple(map(str, recipe["sources"])),
        "dt": None if interval is None else float(interval),
        "budgets": tuple(map(dict, recipe["budgets"])),
    }


def write_stage(stage: Training) -> dict[str, Any]:
    """Returns a training as data: its method, spaces and domain."""
    spaces = {name: write_space(getattr(stage.spec, name)) for name in ("observation_space", "action_space")}
    counts = {name: getattr(stage.spec, name) for name in COUNTS}
    return {"method": describe(stage.method), "domain": DOMAINS[stage.target], **spaces, **counts}


def read_stage(data: dict[str, Any]) -> Training:
    """Returns the training that `write_stage` wrote. Raises as `read_recipe` does."""
    if not isinstance(data["method"], dict):
        raise TypeError("a method must be an object")
    observation, action = read_space(data["observation_space"]), read_space(data["action_space"])
    if not isinstance(observation, ObservationSpace):
        raise TypeError("an observation space must be a box or an image")
    if not isinstance(action, ActionSpace):
        raise TypeError("an action space must be a box or discrete")
    counts: dict[str, Any] = {name: int(data[name]) for name in COUNTS}
    return Training(rebuild(data["method"]), Spec(observation, action, **counts), bool(DOMAINS.index(data["domain"])))


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries that results depend on."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}


def write_policy(trained: Trained) -> dict[str, Any] | None:
    """Returns the policy's computation in the env's units, or None if its learner does not describe it."""
    learner = trained.method.learner(trained.spec._replace(num_tasks=1), target=True)
    contract: PolicyContract | None = learner.policy_contract(trained.state.params)
    if contract is None:
        return None
    action = trained.spec.action_space
    to_units = step("copy", ("action",), "command")
    if isinstance(action, Box):
        bounds: dict[str, Any] = {
            side: [x if abs(x) < UNBOUNDED else None for x in getattr(action, side)] for side in ("low", "high")
        }
        to_units = step("rescale", ("action",), "command", **bounds)
    return {
        "inputs": ("observation", "context", *contract.inputs),
        "memory": contract.memory,
        "steps": (*contract.steps, to_units),
        "update": contract.update,
    }


def write_space(space: ObservationSpace | ActionSpace) -> dict[str, Any]:
    """Returns a space as data."""
    if isinstance(space, Image):
        return {"kind": "image", "shape": space.shape, "dtype": space.dtype}
    if isinstance(space, Discrete):
        components = {"components": [c.name for c in space.components]} if space.components else {}
        return {"kind": "discrete", "n": space.n, **components}
    bounds = {side: [x if abs(x) != float("inf") else str(x) for x in getattr(space, side)] for side in ("low", "high")}
    components = {"components": [c._asdict() for c in space.components]} if space.components else {}
    return {
        "kind": "box",
        **components,
        **bounds,
        **({"one_hot_groups": space.one_hot_groups} if space.one_hot_groups else {}),
    }


def read_space(data: dict[str, Any]) -> ObservationSpace | ActionSpace:
    """Returns the space that `write_space` wrote. Raises KeyError, TypeError, ValueError or InputError if invalid."""
    if data["kind"] == "image":
        return Image(tuple(map(int, data["shape"])), data["dtype"])
    if data["kind"] == "discrete":
        return Discrete(int(data["n"]), tuple(Component(str(name)) for name in data.get("components", ())))
    low, high = (tuple(map(float, data[side])) for side in ("low", "high"))
    components = tuple(Component(str(c["name"]), str(c["unit"])) for c in data.get("components", ()))
    return Box(low, high, tuple(map(int, data.get("one_hot_groups", ()))), components)
