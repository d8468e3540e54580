"""Schedules of progress, and frozen leaves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array

from headstart.nets.optimizers import l2_sp, linear_decay, scale_by_name

WEIGHTS = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0])}
GRADIENT = {"a": jnp.array([0.3, 0.4]), "b": jnp.array([100.0])}


def b_stays(name: str) -> float:
    return 0.0 if name == "b" else 1.0


def changes(optimizer: Any, state: Any = None, **extra: float) -> dict[str, Array]:
    """Returns the optimizer's update, in its first step or from that state."""
    return optimizer.update(GRADIENT, optimizer.init(WEIGHTS) if state is None else state, WEIGHTS, **extra)[0]


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_annealing_scales_by_the_remaining_training(progress: float):
    change = changes(optax.chain(optax.sgd(1.0), linear_decay()), progress=progress)
    np.testing.assert_allclose(change["a"], -(1 - progress) * GRADIENT["a"], rtol=1e-6)


def test_frozen_leaves_do_not_move_and_do_not_count_in_the_gradients_norm():
    change = changes(scale_by_name(optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(1.0)), b_stays))
    np.testing.assert_array_equal(change["b"], [0.0])
    np.testing.assert_allclose(change["a"], -GRADIENT["a"], rtol=1e-6)  # its norm alone is 0.5


def test_frozen_leaves_do_not_drift_by_their_momentum():
    adam = optax.adam(0.1)
    change = changes(scale_by_name(adam, b_stays), adam.update(GRADIENT, adam.init(WEIGHTS), WEIGHTS)[1])
    np.testing.assert_array_equal(change["b"], [0.0])
    assert (change["a"] < 0).all()


def test_holding_keeps_the_optimizers_own_state():
    adam = optax.adam(0.1)
    assert jax.tree.structure(scale_by_name(adam, b_stays).init(WEIGHTS)) == jax.tree.structure(adam.init(WEIGHTS))


def test_progress_reaches_the_inner_optimizer():
    change = changes(scale_by_name(optax.chain(optax.sgd(1.0), linear_decay()), b_stays), progress=0.5)
    np.testing.assert_allclose(change["a"], -0.5 * GRADIENT["a"], rtol=1e-6)


def test_each_part_moves_at_its_own_rate():
    change = changes(scale_by_name(optax.sgd(1.0), lambda name: {"a": 0.25, "b": 2.0}[name]))
    np.testing.assert_allclose(change["a"], -0.25 * GRADIENT["a"], rtol=1e-6)
    np.testing.assert_allclose(change["b"], -2.0 * GRADIENT["b"], rtol=1e-6)


def test_penalised_leaves_are_pulled_back_to_their_initial_values():
    tied = l2_sp(optax.sgd(1.0), 0.5, lambda name: name == "a")
    later = {"a": WEIGHTS["a"] + 2.0, "b": WEIGHTS["b"] + 2.0}
    change: Any = tied.update(GRADIENT, tied.init(WEIGHTS), later)[0]
    np.testing.assert_allclose(change["a"], -(GRADIENT["a"] + 1.0), rtol=1e-6)  # 0.5 · 2 back
    np.testing.assert_allclose(change["b"], -GRADIENT["b"], rtol=1e-6)
