"""What optax does not have: schedules of the training's progress, and parts of knowledge that move as they are told."""

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
    """Adam on gradients whose global norm is cut; where it anneals, its step size falls to 0 over the training."""
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
    """The optimizer, moving each leaf by its name's `rate` times as much; at 0 not at all.

    The state is the optimizer's own, so that it can be carried over; leaves that stay give no gradient either, so that
    they do not use up the gradient's norm.
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
    """The optimizer of a loss with ½ · `weight` · ‖θ − θ₀‖² added, θ₀ being where the leaves named by `to` began.

    L2-SP's penalty (arXiv:1802.01483, equation 5, its first term): in the gradient, so before any clipping of its norm.
    """
    inner = optax.with_extra_args_support(optimizer)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra):
        began, inside = state
        pull = lambda name, g, now, then: g + weight * (now - then) if to(name) else g
        changes, inside = inner.update(map_named(pull, updates, params, began), inside, params, **extra)
        return changes, (began, inside)

    return optax.GradientTransformationExtraArgs(lambda params: (params, inner.init(params)), update)
