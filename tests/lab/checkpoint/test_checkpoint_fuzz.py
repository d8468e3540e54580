"""Recipes with odd entries and a valid checksum are read, or refused in a sentence.

`benchmarks/damage.py` tries damage without a valid checksum, on every kind of file.
"""

import functools
import json
import pathlib
import random

import damage
import jax
import pytest
import tiny

from headstart.core.errors import InputError
from headstart.core.types import spec
from headstart.lab.checkpoint.recipe import FORMAT, Trained
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.save_load import load, save


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # of a size that no array has
def test_valid_checksums_with_odd_recipes_load_or_are_refused(tmp_path: pathlib.Path):
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    folder = save(Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0], 2), tmp_path / "it")
    text, rng, refused = (folder / "recipe.json").read_text(), random.Random(0), []
    for _ in range(1_000):
        recipe = json.loads(text)
        *path, last = rng.choice(list(damage.paths_in(recipe)))
        inner = functools.reduce(lambda inner, name: inner[name], path, recipe)
        if rng.random() < 0.2:
            del inner[last]
        else:
            inner[last] = rng.choice(damage.ODD_VALUES)
        write_record(folder / "recipe.json", FORMAT, recipe)
        try:
            load(folder)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(str(folder) in message for message in refused)
