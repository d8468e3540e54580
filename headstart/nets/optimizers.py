"""What optax does not have: schedules of the training's progress, and parts of knowledge that stay as they are."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from headstart.core.names import map_named
from headstart.core.types import PyTree


def anneal() -> optax.GradientTransformationExtraArgs:
    """Scales updates by 1 − progress: a learning rate that falls linearly to 0, however long the training is."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        return jax.tree.map(lambda u: (1.0 - extra["progress"]) * u, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def hold(
    optimizer: optax.GradientTransformation, still: Callable[[str], bool]
) -> optax.GradientTransformationExtraArgs:
    """The optimizer, moving no leaf whose name is `still`.

    The state is the optimizer's own, so that it can be carried over; still leaves give no gradient either, so that
    they do not use up the gradient's norm.
    """
    inner = optax.with_extra_args_support(optimizer)

    def mask(tree: PyTree) -> PyTree:
        return map_named(lambda name, x: jnp.zeros_like(x) if still(name) else x, tree)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        changes, state = inner.update(mask(updates), state, params, **extra)
        return mask(changes), state

    return optax.GradientTransformationExtraArgs(inner.init, update)
