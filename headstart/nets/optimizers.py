"""What optax lacks: schedules over the training's progress, and learning rates and penalties by a leaf's name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from headstart.core.names import map_named
from headstart.core.types import PyTree


def linear_decay() -> optax.GradientTransformationExtraArgs:
    """Scales updates by 1 − progress: a learning rate that falls linearly to 0, however long the training is."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        return jax.tree.map(lambda u: (1.0 - extra["progress"]) * u, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def clipped_adam(
    learning_rate: float, max_grad_norm: float, anneals: bool, eps: float = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """Adam with clipping of the global gradient norm; with annealing, its step size falls to 0 over the training."""
    return optax.with_extra_args_support(
        optax.chain(
            optax.clip_by_global_norm(max_grad_norm),
            optax.adam(learning_rate, eps=eps),
            linear_decay() if anneals else optax.identity(),
        )
    )


def scale_by_name(
    optimizer: optax.GradientTransformation, rate: Callable[[str], float]
) -> optax.GradientTransformationExtraArgs:
    """The optimizer with each leaf's updates multiplied by the `rate` of its name; a leaf of rate 0 is frozen.

    The state is the optimizer's own, so that it can be carried over. The gradient of a frozen leaf is set to 0, so
    that it does not count towards the clipped norm.
    """
    inner = optax.with_extra_args_support(optimizer)

    def mask(tree: PyTree) -> PyTree:
        return map_named(lambda name, x: x if rate(name) else jnp.zeros_like(x), tree)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        changes, state = inner.update(mask(updates), state, params, **extra)
        return map_named(lambda name, x: x * rate(name) if rate(name) else jnp.zeros_like(x), changes), state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def l2_sp(
    optimizer: optax.GradientTransformation, weight: float, to: Callable[[str], bool]
) -> optax.GradientTransformationExtraArgs:
    """The optimizer of a loss plus ½ · `weight` · ‖θ − θ₀‖², where θ₀ is the initial value of the leaves named by `to`.

    This is L2-SP's penalty (arXiv:1802.01483, equation 5, first term), added to the gradient before any clipping.
    """
    inner = optax.with_extra_args_support(optimizer)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        initial, inner_state = state
        pull = lambda name, g, x, start: g + weight * (x - start) if to(name) else g
        changes, inner_state = inner.update(map_named(pull, updates, params, initial), inner_state, params, **extra)
        return changes, (initial, inner_state)

    return optax.GradientTransformationExtraArgs(lambda params: (params, inner.init(params)), update)
