"""Checkpoints: what is read is what was written, to the bit; and whatever is wrong with one gets its sentence."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import safetensors.numpy
import tiny

from headstart.core.errors import InputError
from headstart.core.names import named
from headstart.core.types import Box, Discrete, TrainState, components, spec
from headstart.lab.checkpoint.recipe import FORMAT
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.save_load import load, save
from headstart.lab.checkpoint.trained import Trained
from headstart.learners.uniform import Uniform
from headstart.methods.forward.finetune import Finetune
from headstart.methods.randomization.epopt import EPOpt


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Returns what one of the seeds learned."""
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    return Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0], 2)


@pytest.fixture(scope="module")
def saved(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return save(trained, tmp_path_factory.mktemp("checkpoint") / "deep" / "down")


@pytest.fixture
def copy(saved: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(saved, tmp_path / "copy"))


def edit_recipe(folder: pathlib.Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Writes another recipe, whose checksum is right."""
    recipe = json.loads((folder / "recipe.json").read_text())
    change(recipe)
    write_record(folder / "recipe.json", recipe.get("format", FORMAT), recipe)


def edit_arrays(folder: pathlib.Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Writes other arrays, and their checksum into the recipe."""
    arrays = {name: x.copy() for name, x in safetensors.numpy.load_file(folder / "params.safetensors").items()}
    change(arrays)
    data = safetensors.numpy.save(arrays)
    (folder / "params.safetensors").write_bytes(data)
    told = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_recipe(folder, lambda recipe: recipe.update(told))


def test_what_is_read_is_what_was_written(trained, saved):
    again = load(saved)
    assert dataclasses.replace(again, state=trained.state) == trained
    probes.check_same(again.state, trained.state)
    moved = [name for name, x in named(again.state).items() if np.any(np.asarray(x))]
    assert any(name.startswith("optimizer") for name in moved)
    assert "params.normalizer.count" in moved
    assert "params.returns.scale.count" in moved


KILLS = """
import hashlib, json, os, pathlib, shutil, signal, sys
from headstart.lab.checkpoint import files, records, save_load

former, newer, out = map(pathlib.Path, sys.argv[1:])
data, recipe = (newer / "params.safetensors").read_bytes(), json.loads((newer / "recipe.json").read_text())

def die_at(count):
    seen = set()
    def trace(frame, event, arg):
        if frame.f_code.co_filename not in (files.__file__, save_load.__file__, records.__file__):
            return None
        seen.add((frame.f_code, frame.f_lineno))
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

for count in range(1, 1000):
    shutil.copytree(former, out / str(count))
    child = os.fork()
    if child == 0:
        die_at(count)
        save_load.write_checkpoint(out / str(count), data, recipe["sha256"], recipe)
        os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        break
"""


def test_a_kill_at_any_line_of_a_save_leaves_the_former_or_the_new(trained, saved, tmp_path):
    moved = jax.tree.map(lambda x: x + 1, trained.state)
    newer = save(dataclasses.replace(trained, state=moved, seed=trained.seed + 1), tmp_path / "newer")
    subprocess.run([sys.executable, "-c", KILLS, saved, newer, tmp_path / "out"], check=True, timeout=600)
    killed = sorted((tmp_path / "out").iterdir(), key=lambda folder: int(folder.name))
    left = []
    for folder in killed:
        found = load(folder)
        left.append(found.seed)
        probes.check_same(found.state, moved if found.seed == trained.seed + 1 else trained.state)
        save(found, folder)
        assert {path.name for path in folder.iterdir()} == {"params.safetensors", "recipe.json"}
    assert left == sorted(left)  # the former, and from some moment on the newer
    assert 10 < left.index(trained.seed + 1) < len(left) - 3


@pytest.mark.parametrize("method", [Finetune(tiny.METHOD, freeze=("value",)), EPOpt(tiny.METHOD, epsilon=0.2)])
def test_methods_in_methods_are_written_whole(trained, tmp_path, method):
    again = load(save(dataclasses.replace(trained, method=method), tmp_path))
    assert again.method == method
    probes.check_same(again.state, trained.state)


def test_what_knows_nothing_is_a_checkpoint_too(trained, tmp_path):
    nothing = Uniform().learner(trained.spec)
    assert nothing.phases == ()
    state = TrainState(nothing.init(jax.random.key(0), None), (), jnp.ones(1, jnp.int32))
    again = load(save(dataclasses.replace(trained, method=Uniform(), state=state), tmp_path))
    assert jax.tree.leaves(again.state.params) == []
    assert again.method == Uniform()


def test_it_can_be_read_without_headstart_and_jax(trained, saved):
    """By numpy and safetensors alone: plain names, plain arrays, and what a policy needs to act."""
    recipe = json.loads((saved / "recipe.json").read_text())
    arrays = safetensors.numpy.load_file(saved / "params.safetensors")
    assert {name: [list(x.shape), str(x.dtype)] for name, x in arrays.items()} == {
        name: [told["shape"], told["dtype"]] for name, told in recipe["arrays"].items()
    }
    normalizer = trained.state.params["normalizer"]
    np.testing.assert_array_equal(arrays["params.normalizer.mean"], np.asarray(normalizer.mean)[0])
    assert recipe["method"]["class"] == "PPO"
    assert recipe["method"]["hidden"] == [4]
    assert recipe["observation_space"] == {"kind": "box", "low": [0.0], "high": [1.0]}
    assert recipe["action_space"] == {"kind": "discrete", "n": 2}
    assert recipe["action_processing"] == "an index"
    assert {"headstart", "jax", "numpy", "python"} <= recipe["versions"].keys()


def test_a_recipe_is_a_contract(trained, tmp_path):
    """Names, units, bounds, the clock and the budgets are written, and read again."""
    seen = Box((-1.0,), (float("inf"),), components=components("speed m/s"))
    told = dataclasses.replace(
        trained,
        spec=trained.spec._replace(observation_space=seen, action_space=Discrete(2, components("left", "right"))),
        dt=0.02,
        budgets=({"task": "Corridor", "steps": 16},),
    )
    recipe = json.loads((save(told, tmp_path) / "recipe.json").read_text())
    assert recipe["observation_space"]["components"] == [{"name": "speed", "unit": "m/s"}]
    assert recipe["action_space"]["components"] == ["left", "right"]
    assert (recipe["dt"], recipe["budgets"]) == (0.02, [{"task": "Corridor", "steps": 16}])
    again = load(tmp_path)
    assert (again.spec, again.dt, again.budgets) == (told.spec, told.dt, told.budgets)


def flip(file: str, at: int) -> Callable[[pathlib.Path], None]:
    def damage(folder: pathlib.Path) -> None:
        data = bytearray((folder / file).read_bytes())
        data[at] ^= 1
        (folder / file).write_bytes(data)

    return damage


def test_a_recipe_says_how_a_policy_s_actions_become_the_world_s(trained, tmp_path):
    told = dataclasses.replace(trained, spec=trained.spec._replace(action_space=Box((-2.0,), (2.0,))))
    recipe = json.loads((save(told, tmp_path) / "recipe.json").read_text())
    assert recipe["action_space"] == {"kind": "box", "low": [-2.0], "high": [2.0]}
    assert recipe["action_processing"].startswith("clipped to [-1, 1], then scaled to [low, high]")


def test_bounds_without_end_survive(trained, tmp_path):
    wide = dataclasses.replace(trained.spec.observation_space, low=(-float("inf"),), high=(float("inf"),))
    again = load(save(dataclasses.replace(trained, spec=trained.spec._replace(observation_space=wide)), tmp_path))
    assert again.spec.observation_space == wide


def truncate(folder: pathlib.Path) -> None:
    file = folder / "params.safetensors"
    file.write_bytes(file.read_bytes()[:-40])


def lengthen(file: str) -> Callable[[pathlib.Path], Any]:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes() + b" ")


def pipe(file: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: ((folder / file).unlink(), os.mkfifo(folder / file))[1]


def directory(file: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: ((folder / file).unlink(), (folder / file).mkdir())[1]


def hole(folder: pathlib.Path) -> None:
    os.truncate(folder / "recipe.json", 10**12)


def swap_shape(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.normalizer.mean": np.zeros(2, np.float32)}))


def swap_type(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.normalizer.mean": np.zeros(1, np.float64)}))


def spoil(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays["params.normalizer.mean"].fill(np.nan))


def drop(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.pop("params.normalizer.mean"))


def add(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.stowaway": np.zeros(1, np.float32)}))


def set_to(name: str, value: Any) -> Callable[[pathlib.Path], None]:
    return lambda folder: edit_recipe(folder, lambda recipe: recipe.update({name: value}))


def without(name: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: edit_recipe(folder, lambda recipe: recipe.pop(name))


DEFECTS = {
    "no folder": (shutil.rmtree, r"There is no .*recipe\.json; check that headstart wrote the folder"),
    "no recipe": (lambda folder: (folder / "recipe.json").unlink(), r"There is no .*recipe\.json"),
    "no arrays": (lambda folder: (folder / "params.safetensors").unlink(), "copy the whole checkpoint folder"),
    "a text": (lambda folder: (folder / "recipe.json").write_text("hello"), "cannot be read as JSON"),
    "a list": (lambda folder: (folder / "recipe.json").write_text("[]"), "not a record of this version"),
    "another's": (set_to("format", "stable-baselines3"), "not a record of this version.*train again"),
    "cut off": (truncate, r"params\.safetensors is damaged.*take another copy"),
    "too long": (
        lengthen("params.safetensors"),
        r"params\.safetensors has \d+ bytes, and at most \d+ are expected",
    ),
    "a pipe": (pipe("recipe.json"), r"recipe\.json is not a regular file"),
    "a pipe of arrays": (pipe("params.safetensors"), r"params\.safetensors is not a regular file"),
    "a folder": (directory("recipe.json"), r"recipe\.json is not a regular file"),
    "a hole": (hole, r"recipe\.json has 1000000000000 bytes, and at most"),
    "no safetensors": (lambda folder: (folder / "params.safetensors").write_text("hello"), "is damaged"),
    "another shape": (swap_shape, r"'params\.normalizer\.mean' as float32\[2\].* describes float32\[1\]"),
    "another type": (swap_type, r"as float64\[1\].* describes float32\[1\]"),
    "NaN": (spoil, r"not finite, in 'params\.normalizer\.mean'.*train again"),
    "a bit of an array": (
        flip("params.safetensors", -1),
        r"params\.safetensors is damaged, or not the file that its",
    ),
    "a bit of the recipe": (flip("recipe.json", 40), r"recipe\.json"),
    "a bit of its checksum": (
        flip("recipe.json", -9),
        r"recipe\.json is damaged: its content does not match its checksum",
    ),
    "a space after it": (lengthen("recipe.json"), r"recipe\.json is damaged: its"),
    "too little": (drop, r"lacks 'params\.normalizer\.mean'"),
    "too much": (add, r"has an unexpected array 'params\.stowaway'.*copy both files from one place"),
    "an unknown method": (set_to("method", {"class": "Rainbow"}), "has no method like .*Rainbow"),
    "an unknown field": (set_to("method", {"class": "PPO", "magic": 1}), "magic"),
    "a bad field": (
        set_to("method", {"class": "PPO", "clip_eps": -1.0}),
        r"recipe\.json: PPO\(clip_eps=-1\.0\) is out of range",
    ),
    "a method that is none": (set_to("method", "PPO"), r"recipe\.json is damaged"),
    "a space that is none": (
        set_to("action_space", {"kind": "box", "low": ["a"], "high": [1]}),
        r"recipe\.json is damaged",
    ),
    "choices seen": (set_to("observation_space", {"kind": "discrete", "n": 3}), "an observation space must be a box"),
    "a count that is none": (set_to("num_tasks", "many"), r"recipe\.json is damaged"),
    "a history that is none": (set_to("history", [{"method": {"class": "PPO"}}]), r"recipe\.json is damaged"),
    "a domain that is none": (set_to("domain", "elsewhere"), r"recipe\.json is damaged"),
    "no seed": (without("seed"), r"recipe\.json is damaged .*seed"),
    "another width": (set_to("method", {"class": "PPO", "hidden": [8]}), r"its recipe\.json describes"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_sentence(copy, defect):
    damage, sentence = DEFECTS[defect]
    damage(copy)
    with pytest.raises(InputError, match=sentence) as caught:
        load(copy)
    said = str(caught.value)
    assert "\n" not in said
    assert str(copy) in said
