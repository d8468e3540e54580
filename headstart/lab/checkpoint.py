"""Knowledge on disk: `knowledge.safetensors` beside a `recipe.json` that says what it is and how it came about.

No pickle anywhere: the arrays can be read without headstart and without JAX.
"""

import dataclasses
import functools
import pathlib
import sys
from importlib.metadata import version
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from headstart.core.errors import InputError
from headstart.core.names import map_named, named
from headstart.core.spaces import Sight
from headstart.core.types import Box, Discrete, Image, Method, PyTree, Space, Spec, TrainState
from headstart.lab.files import read_json, write, write_json
from headstart.methods import describe, rebuild

FORMAT = "headstart checkpoint 1"
LIBRARIES = ("headstart", "jax", "equinox", "optax", "numpyro", "gymnasium", "mujoco", "numpy")


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training leaves: the knowledge of one seed, and everything needed to use it again."""

    method: Method
    spec: Spec
    state: TrainState  # each array with a leading seed axis of length 1
    trained_on: str  # the task, as a string; of several, all of them
    steps: int
    seed: int
    gradient_steps: int = 0
    sources: tuple[str, ...] = ()  # the tasks that were learned together: what the context names, in its order


def versions() -> dict[str, str]:
    """-> the libraries that a result depends on."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}


def save(trained: Trained, path: str | pathlib.Path) -> pathlib.Path:
    """Writes a checkpoint folder -> its path."""
    folder = pathlib.Path(path)
    arrays = {name: np.array(x[0]) for name, x in named(trained.state).items()}
    recipe = {
        "format": FORMAT,
        "method": describe(trained.method),
        "trained_on": trained.trained_on,
        "sources": trained.sources,
        "steps": trained.steps,
        "gradient_steps": trained.gradient_steps,
        "seed": trained.seed,
        "observation": _space(trained.spec.observation),
        "action": _space(trained.spec.action),
        "action_processing": "clipped to [-1, 1], then scaled to [low, high]"
        if isinstance(trained.spec.action, Box)
        else "an index",
        "context": trained.spec.context,
        "cumulants": trained.spec.cumulants,
        "tasks": trained.spec.tasks,
        "parameters": trained.spec.parameters,
        "arrays": {name: {"shape": x.shape, "dtype": str(x.dtype)} for name, x in arrays.items()},
        "versions": versions(),
    }
    write(folder / "knowledge.safetensors", safetensors.numpy.save(arrays))
    write_json(folder / "recipe.json", recipe)
    return folder


def load(path: str | pathlib.Path) -> Trained:
    """Reads a checkpoint folder. Raises InputError, with the defect, where it is missing, damaged or another's."""
    folder = pathlib.Path(path)
    recipe = read_json(folder / "recipe.json")
    if not isinstance(recipe, dict) or recipe.get("format") != FORMAT:
        raise InputError(
            f"{folder / 'recipe.json'} is no recipe of this version of headstart (format {FORMAT!r}); "
            "take a checkpoint that it wrote, or train anew."
        )
    try:
        if not isinstance(recipe["method"], dict):
            raise TypeError("a method is a table")
        method = rebuild(recipe["method"])
        observation, action = _unspace(recipe["observation"]), _unspace(recipe["action"])
        if not isinstance(observation, Sight):
            raise TypeError("an observation is a box or an image")
        if not isinstance(action, Space):
            raise TypeError("an action is a box or discrete")
        counts = {name: int(recipe[name]) for name in ("context", "cumulants", "tasks")}
        spec = Spec(observation, action, **counts, parameters=int(recipe.get("parameters", 0)))
        steps, seed, gradient_steps = (int(recipe[name]) for name in ("steps", "seed", "gradient_steps"))
        trained_on, sources = str(recipe["trained_on"]), tuple(map(str, recipe.get("sources", ())))
    except InputError as error:  # of the method's own: it knows best
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{folder / 'recipe.json'} is damaged ({type(error).__name__}: {error}); take another copy of it."
        ) from None
    state = _read_state(folder, method, spec)
    return Trained(method, spec, state, trained_on, steps, seed, gradient_steps, sources)


def _read_state(folder: pathlib.Path, method: Method, spec: Spec) -> TrainState:
    file = folder / "knowledge.safetensors"
    try:
        arrays = safetensors.numpy.load(file.read_bytes())
    except FileNotFoundError:
        raise InputError(f"There is no {file}; copy the whole checkpoint folder.") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); take another copy of it.") from None
    try:
        like = _shapes(method, spec)
    except InputError as error:
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except Exception as error:  # a damaged recipe may ask for anything
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise InputError(
            f"{folder / 'recipe.json'} describes what cannot be made ({why}); it is damaged: take another copy of it."
        ) from None
    _check_arrays(file, arrays, named(like))
    return map_named(lambda name, _: jnp.asarray(arrays[name])[None], like)


@functools.cache
def _shapes(method: Method, spec: Spec) -> TrainState:
    """-> the shapes of what the method's learner knows, and keeps beside it."""
    learner = method.learner(spec, target=False)

    def fresh(key: Any) -> TrainState:
        knowledge = learner.init(key, None)
        slow = None if learner.tau is None else knowledge
        return TrainState(knowledge, slow, learner.optimizer.init(cast(PyTree, knowledge)), jnp.int32(0))

    return jax.eval_shape(fresh, jax.random.key(0))


def _check_arrays(file: pathlib.Path, arrays: dict[str, np.ndarray], expected: dict[str, jax.ShapeDtypeStruct]) -> None:
    """Raises InputError where the arrays are not just those that are expected, or not finite."""
    for name in [*expected, *arrays]:
        if name not in arrays or name not in expected:
            where = "lacks" if name in expected else "holds, unasked,"
            raise InputError(
                f"{file} {where} {name!r}, and so does not fit the method of its recipe.json; copy both from one place."
            )
        found, wanted = arrays[name], expected[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise InputError(
                f"{file} holds {name!r} as {found.dtype}{list(found.shape)}, but its recipe.json makes it "
                f"{wanted.dtype}{list(wanted.shape)}; copy both from one place."
            )
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise InputError(f"{file} holds numbers that are not finite, in {name!r}; its training failed: train anew.")


def _space(space: Sight | Space) -> dict[str, Any]:
    if isinstance(space, Image):
        return {"kind": "image", "shape": space.shape, "dtype": space.dtype}
    if isinstance(space, Discrete):
        return {"kind": "discrete", "n": space.n}
    bounds = {side: [x if abs(x) != float("inf") else str(x) for x in getattr(space, side)] for side in ("low", "high")}
    return {"kind": "box", **bounds, **({"words": space.words} if space.words else {})}


def _unspace(data: dict[str, Any]) -> Sight | Space:
    if data["kind"] == "image":
        return Image(tuple(map(int, data["shape"])), data["dtype"])
    if data["kind"] == "discrete":
        return Discrete(data["n"])
    low, high = (tuple(map(float, data[side])) for side in ("low", "high"))
    return Box(low, high, tuple(map(int, data.get("words", ()))))
