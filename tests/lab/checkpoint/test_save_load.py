"""Checkpoints: they load bit-exactly, and each defect is refused in a sentence."""

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
    """Returns the trained policy of one seed."""
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    return Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0], 2)


@pytest.fixture(scope="module")
def saved(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return save(trained, tmp_path_factory.mktemp("checkpoint") / "deep" / "down")


@pytest.fixture
def copy(saved: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(saved, tmp_path / "copy"))


def edit_recipe(folder: pathlib.Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the recipe and writes it with a valid checksum."""
    recipe = json.loads((folder / "recipe.json").read_text())
    change(recipe)
    write_record(folder / "recipe.json", recipe.get("format", FORMAT), recipe)


def edit_arrays(folder: pathlib.Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Changes the arrays and writes their checksum into the recipe."""
    arrays = {name: x.copy() for name, x in safetensors.numpy.load_file(folder / "params.safetensors").items()}
    change(arrays)
    data = safetensors.numpy.save(arrays)
    (folder / "params.safetensors").write_bytes(data)
    described = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_recipe(folder, lambda recipe: recipe.update(described))


def test_loaded_checkpoint_equals_the_saved_one(trained, saved):
    loaded = load(saved)
    assert dataclasses.replace(loaded, state=trained.state) == trained
    probes.check_same(loaded.state, trained.state)
    changed = [name for name, x in named(loaded.state).items() if np.any(np.asarray(x))]
    assert any(name.startswith("optimizer") for name in changed)
    assert "params.normalizer.count" in changed
    assert "params.returns.scale.count" in changed


TESTS = pathlib.Path(__file__).parents[2]
KILLS = """
import json, pathlib, sys
from headstart.lab.checkpoint import files, records, save_load

tests, former, newer, out = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(tests))
from line_kills import kill_at_each_line

data, recipe = (newer / "params.safetensors").read_bytes(), json.loads((newer / "recipe.json").read_text())
write = lambda folder: save_load.write_checkpoint(folder, data, recipe["sha256"], recipe)
kill_at_each_line((files.__file__, records.__file__, save_load.__file__), former, out, write)
"""


def test_killed_save_leaves_the_old_or_the_new_checkpoint(trained, saved, tmp_path):
    changed = jax.tree.map(lambda x: x + 1, trained.state)
    newer = save(dataclasses.replace(trained, state=changed, seed=trained.seed + 1), tmp_path / "newer")
    subprocess.run([sys.executable, "-c", KILLS, TESTS, saved, newer, tmp_path / "out"], check=True, timeout=600)
    killed = sorted((tmp_path / "out").iterdir(), key=lambda folder: int(folder.name))
    seeds = []
    for folder in killed:
        loaded = load(folder)
        seeds.append(loaded.seed)
        probes.check_same(loaded.state, changed if loaded.seed == trained.seed + 1 else trained.state)
        save(loaded, folder)
        assert {path.name for path in folder.iterdir()} == {"params.safetensors", "recipe.json"}
    assert seeds == sorted(seeds)  # first the old one, then the new one
    assert 10 < seeds.index(trained.seed + 1) < len(seeds) - 3


@pytest.mark.parametrize("method", [Finetune(tiny.METHOD, freeze=("value",)), EPOpt(tiny.METHOD, epsilon=0.2)])
def test_nested_methods_are_saved_completely(trained, tmp_path, method):
    loaded = load(save(dataclasses.replace(trained, method=method), tmp_path))
    assert loaded.method == method
    probes.check_same(loaded.state, trained.state)


def test_method_without_params_is_saved(trained, tmp_path):
    learner = Uniform().learner(trained.spec)
    assert learner.phases == ()
    state = TrainState(learner.init(jax.random.key(0), None), (), jnp.ones(1, jnp.int32))
    loaded = load(save(dataclasses.replace(trained, method=Uniform(), state=state), tmp_path))
    assert jax.tree.leaves(loaded.state.params) == []
    assert loaded.method == Uniform()


def test_checkpoint_is_readable_without_headstart_and_jax(trained, saved):
    """numpy and safetensors suffice to read its arrays by name."""
    recipe = json.loads((saved / "recipe.json").read_text())
    arrays = safetensors.numpy.load_file(saved / "params.safetensors")
    assert {name: [list(x.shape), str(x.dtype)] for name, x in arrays.items()} == {
        name: [described["shape"], described["dtype"]] for name, described in recipe["arrays"].items()
    }
    normalizer = trained.state.params["normalizer"]
    np.testing.assert_array_equal(arrays["params.normalizer.mean"], np.asarray(normalizer.mean)[0])
    assert recipe["method"]["class"] == "PPO"
    assert recipe["method"]["hidden"] == [4]
    assert recipe["observation_space"] == {"kind": "box", "low": [0.0], "high": [1.0]}
    assert recipe["action_space"] == {"kind": "discrete", "n": 2}
    assert recipe["action_processing"] == "an index"
    assert {"headstart", "jax", "numpy", "python"} <= recipe["versions"].keys()


def test_recipe_has_names_units_bounds_and_budgets(trained, tmp_path):
    """Names, units, bounds, dt and budgets are saved and loaded."""
    observation_space = Box((-1.0,), (float("inf"),), components=components("speed m/s"))
    described = dataclasses.replace(
        trained,
        spec=trained.spec._replace(
            observation_space=observation_space, action_space=Discrete(2, components("left", "right"))
        ),
        dt=0.02,
        budgets=({"task": "Corridor", "steps": 16},),
    )
    recipe = json.loads((save(described, tmp_path) / "recipe.json").read_text())
    assert recipe["observation_space"]["components"] == [{"name": "speed", "unit": "m/s"}]
    assert recipe["action_space"]["components"] == ["left", "right"]
    assert (recipe["dt"], recipe["budgets"]) == (0.02, [{"task": "Corridor", "steps": 16}])
    loaded = load(tmp_path)
    assert (loaded.spec, loaded.dt, loaded.budgets) == (described.spec, described.dt, described.budgets)


def flip_bit(file: str, position: int) -> Callable[[pathlib.Path], None]:
    def damage(folder: pathlib.Path) -> None:
        data = bytearray((folder / file).read_bytes())
        data[position] ^= 1
        (folder / file).write_bytes(data)

    return damage


def test_recipe_describes_the_scaling_of_actions(trained, tmp_path):
    described = dataclasses.replace(trained, spec=trained.spec._replace(action_space=Box((-2.0,), (2.0,))))
    recipe = json.loads((save(described, tmp_path) / "recipe.json").read_text())
    assert recipe["action_space"] == {"kind": "box", "low": [-2.0], "high": [2.0]}
    assert recipe["action_processing"].startswith("clipped to [-1, 1], then scaled to [low, high]")


def test_infinite_bounds_are_restored(trained, tmp_path):
    unbounded = dataclasses.replace(trained.spec.observation_space, low=(-float("inf"),), high=(float("inf"),))
    loaded = load(save(dataclasses.replace(trained, spec=trained.spec._replace(observation_space=unbounded)), tmp_path))
    assert loaded.spec.observation_space == unbounded


def truncate(folder: pathlib.Path) -> None:
    file = folder / "params.safetensors"
    file.write_bytes(file.read_bytes()[:-40])


def lengthen(file: str) -> Callable[[pathlib.Path], Any]:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes() + b" ")


def replace_by_pipe(file: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: ((folder / file).unlink(), os.mkfifo(folder / file))[1]


def replace_by_folder(file: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: ((folder / file).unlink(), (folder / file).mkdir())[1]


def make_huge(folder: pathlib.Path) -> None:
    os.truncate(folder / "recipe.json", 10**12)


def swap_shape(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.normalizer.mean": np.zeros(2, np.float32)}))


def swap_type(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.normalizer.mean": np.zeros(1, np.float64)}))


def set_nan(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays["params.normalizer.mean"].fill(np.nan))


def drop_array(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.pop("params.normalizer.mean"))


def add_array(folder: pathlib.Path) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"params.stowaway": np.zeros(1, np.float32)}))


def set_entry(name: str, value: Any) -> Callable[[pathlib.Path], None]:
    return lambda folder: edit_recipe(folder, lambda recipe: recipe.update({name: value}))


def drop_entry(name: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: edit_recipe(folder, lambda recipe: recipe.pop(name))


DEFECTS = {
    "no folder": (shutil.rmtree, r"There is no .*recipe\.json; check that headstart wrote the folder"),
    "no recipe": (lambda folder: (folder / "recipe.json").unlink(), r"There is no .*recipe\.json"),
    "no arrays": (lambda folder: (folder / "params.safetensors").unlink(), "copy the whole checkpoint folder"),
    "a text": (lambda folder: (folder / "recipe.json").write_text("hello"), "cannot be read as JSON"),
    "a list": (lambda folder: (folder / "recipe.json").write_text("[]"), "not a record of this version"),
    "another's": (set_entry("format", "stable-baselines3"), "not a record of this version.*train again"),
    "cut off": (truncate, r"params\.safetensors is damaged.*take another copy"),
    "too long": (
        lengthen("params.safetensors"),
        r"params\.safetensors has \d+ bytes, and at most \d+ are expected",
    ),
    "a pipe": (replace_by_pipe("recipe.json"), r"recipe\.json is not a regular file"),
    "a pipe of arrays": (replace_by_pipe("params.safetensors"), r"params\.safetensors is not a regular file"),
    "a folder": (replace_by_folder("recipe.json"), r"recipe\.json is not a regular file"),
    "a hole": (make_huge, r"recipe\.json has 1000000000000 bytes, and at most"),
    "no safetensors": (lambda folder: (folder / "params.safetensors").write_text("hello"), "is damaged"),
    "another shape": (swap_shape, r"'params\.normalizer\.mean' as float32\[2\].* describes float32\[1\]"),
    "another type": (swap_type, r"as float64\[1\].* describes float32\[1\]"),
    "NaN": (set_nan, r"not finite, in 'params\.normalizer\.mean'.*train again"),
    "a bit of an array": (
        flip_bit("params.safetensors", -1),
        r"params\.safetensors is damaged, or not the file that its",
    ),
    "a bit of the recipe": (flip_bit("recipe.json", 40), r"recipe\.json"),
    "a bit of its checksum": (
        flip_bit("recipe.json", -9),
        r"recipe\.json is damaged: its content does not match its checksum",
    ),
    "a space after it": (lengthen("recipe.json"), r"recipe\.json is damaged: its"),
    "too little": (drop_array, r"lacks 'params\.normalizer\.mean'"),
    "too much": (add_array, r"has an unexpected array 'params\.stowaway'.*copy both files from one place"),
    "an unknown method": (set_entry("method", {"class": "Rainbow"}), "has no method like .*Rainbow"),
    "an unknown field": (set_entry("method", {"class": "PPO", "magic": 1}), "magic"),
    "a bad field": (
        set_entry("method", {"class": "PPO", "clip_eps": -1.0}),
        r"recipe\.json: PPO\(clip_eps=-1\.0\) is out of range",
    ),
    "a method that is none": (set_entry("method", "PPO"), r"recipe\.json is damaged"),
    "a space that is none": (
        set_entry("action_space", {"kind": "box", "low": ["a"], "high": [1]}),
        r"recipe\.json is damaged",
    ),
    "choices seen": (
        set_entry("observation_space", {"kind": "discrete", "n": 3}),
        "an observation space must be a box",
    ),
    "a count that is none": (set_entry("num_tasks", "many"), r"recipe\.json is damaged"),
    "a history that is none": (set_entry("history", [{"method": {"class": "PPO"}}]), r"recipe\.json is damaged"),
    "a domain that is none": (set_entry("domain", "elsewhere"), r"recipe\.json is damaged"),
    "no seed": (drop_entry("seed"), r"recipe\.json is damaged .*seed"),
    "another width": (set_entry("method", {"class": "PPO", "hidden": [8]}), r"its recipe\.json describes"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_refused_in_one_sentence(copy, defect):
    damage, sentence = DEFECTS[defect]
    damage(copy)
    with pytest.raises(InputError, match=sentence) as error:
        load(copy)
    message = str(error.value)
    assert "\n" not in message
    assert str(copy) in message
