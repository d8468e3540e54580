"""Damaged checkpoints, two thousand of them: each is refused in a sentence."""

import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import jax
import pytest
import tiny

from headstart.core.errors import InputError
from headstart.core.types import spec
from headstart.lab.checkpoint import load, save
from headstart.lab.trained import Trained

ODD = (None, True, -1, 0, 10**30, 1e308, "", "inf", [], [[]], {}, {"class": "PPO"}, [1] * 50, "PPO", 2.5)
CHUNKS = (b"\xff" * 8, b"\x00" * 8, b"[" * 20_000, b"9" * 5_000)


def damaged(data: bytes, luck: random.Random) -> bytes:
    """-> the bytes with some changed, lost or put in."""
    found = bytearray(data)
    for _ in range(luck.choice((1, 1, 3, 20))):
        at = luck.randrange(max(len(found), 1))
        kind = luck.randrange(4)
        if kind == 0:
            found[at : at + 1] = luck.randbytes(1)
        elif kind == 1:
            found = found[:at]
        elif kind == 2:
            del found[at : at + luck.randrange(1, 30)]
        else:
            found[at : at + 8] = luck.choice(CHUNKS)
    return bytes(found)


def places(data: Any, here: tuple = ()) -> Iterator[tuple]:
    """Yields the way to everything in plain data."""
    for name, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*here, name)
        yield from places(inner, (*here, name))


def wrong(data: bytes, luck: random.Random) -> bytes:
    """-> the JSON with something odd in one place, or nothing."""
    recipe = json.loads(data)
    *way, last = luck.choice(list(places(recipe)))
    inner = recipe
    for name in way:
        inner = inner[name]
    if luck.random() < 0.2:
        del inner[last]
    else:
        inner[last] = luck.choice(ODD)
    return json.dumps(recipe).encode()


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # of a size that no array has
def test_whatever_is_damaged_is_refused_in_a_sentence(tmp_path: pathlib.Path):
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    folder = save(Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0], 2), tmp_path / "it")
    files = [folder / "recipe.json", folder / "knowledge.safetensors"]
    whole, luck, refused = [file.read_bytes() for file in files], random.Random(0), []
    for _ in range(2_000):
        recipe, knowledge = whole
        kind = luck.randrange(4)
        if kind == 0:
            recipe = damaged(recipe, luck)
        elif kind == 1:
            knowledge = damaged(knowledge, luck)
        else:
            recipe = wrong(recipe, luck)
        for file, data in zip(files, (recipe, knowledge), strict=True):
            file.write_bytes(data)
        try:
            load(folder)
            assert [recipe, knowledge] == whole
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 1_900
    assert all(str(folder) in told for told in refused)
