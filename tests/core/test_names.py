"""Every leaf has a name."""

import jax.numpy as jnp
import pytest

from headstart.core.names import map_named, named, within

TREE = {"policy": {"net": (jnp.zeros(2), jnp.ones(3))}, "value": jnp.zeros(1)}


def test_names_say_where_a_leaf_is():
    assert {name: x.shape for name, x in named(TREE).items()} == {
        "policy.net.0": (2,),
        "policy.net.1": (3,),
        "value": (1,),
    }


def test_map_named_sees_the_name_and_every_trees_leaf():
    mapped = map_named(lambda name, a, b: a + b + len(name), TREE, TREE)
    assert named(mapped)["policy.net.1"].tolist() == [14.0] * 3
    assert named(mapped)["value"].tolist() == [5.0]


@pytest.mark.parametrize(
    ("name", "parts", "inside"),
    [
        ("policy.net.layers.0.bias", ["policy.net"], True),
        ("policy.net", ["value", "policy.net"], True),
        ("policy.network", ["policy.net"], False),  # a prefix of a word is no part
        ("policy", ["policy.net"], False),
        ("policy.net", [], False),
    ],
)
def test_within(name: str, parts: list[str], inside: bool):
    assert within(name, parts) == inside
