"""Every leaf of a pytree has a name, such as `policy.net.layers.0.weight`: for freezing, saving and reporting."""

from collections.abc import Callable, Iterable
from typing import Any

import jax

from headstart.core.types import PyTree


def named(tree: PyTree) -> dict[str, Any]:
    """Returns the leaves by name."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def map_named(function: Callable[..., Any], tree: PyTree, *others: PyTree) -> PyTree:
    """Returns `function(name, leaf, *other leaves)` at each leaf."""

    def at(path, *leaves):
        return function(jax.tree_util.keystr(path, simple=True, separator="."), *leaves)

    return jax.tree_util.tree_map_with_path(at, tree, *others)


def within(name: str, parts: Iterable[str]) -> bool:
    """Returns whether the name is one of the parts or lies inside one: `policy.net` holds `policy.net.layers.0.bias`."""
    return any(name == part or name.startswith(part + ".") for part in parts)
