"""Recipes that say odd things under a checksum that is right: each is read, or refused in a sentence.

What damage alone does, to every kind of file, is tried by `benchmarks/damage.py`.
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
def test_whatever_a_recipe_says_is_read_or_refused_in_a_sentence(tmp_path: pathlib.Path):
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    folder = save(Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0], 2), tmp_path / "it")
    whole, luck, refused = (folder / "recipe.json").read_text(), random.Random(0), []
    for _ in range(1_000):
        recipe = json.loads(whole)
        *way, last = luck.choice(list(damage.places(recipe)))
        inner = functools.reduce(lambda inner, name: inner[name], way, recipe)
        if luck.random() < 0.2:
            del inner[last]
        else:
            inner[last] = luck.choice(damage.ODD)
        write_record(folder / "recipe.json", FORMAT, recipe)
        try:
            load(folder)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(str(folder) in told for told in refused)
