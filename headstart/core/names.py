"""Names of a pytree's leaves, such as `policy.net.layers.0.weight`: for freezing, saving and reporting."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from headstart.core.types import PyTree


def named(tree: PyTree) -> dict[str, Any]:
    """Returns the leaves of a pytree by name."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def map_named(function: Callable[..., Any], tree: PyTree, *others: PyTree) -> PyTree:
    """Applies `function(name, leaf, *other leaves)` to each leaf and returns the tree of results."""

    def at(path, *leaves):
        return function(jax.tree_util.keystr(path, simple=True, separator="."), *leaves)

    return jax.tree_util.tree_map_with_path(at, tree, *others)


def within(name: str, parts: Iterable[str]) -> bool:
    """Returns whether a name is one of the parts or inside one: `policy.net` contains `policy.net.layers.0.bias`."""
    return any(name == part or name.startswith(part + ".") for part in parts)


def select_parts(params: Mapping[str, PyTree], names: Iterable[str]) -> dict[str, PyTree]:
    """Returns the parts of those names."""
    return {name: params[name] for name in names}
