"""Targets of Q-learning, by hand."""

import jax
import jax.numpy as jnp
import pytest

from headstart.losses.q_learning import double_q_target, huber, n_step

R = jnp.array([1.0, 2.0, 4.0])


def ahead(steps: int, terminated: bool = False) -> list[float]:
    """Returns the sum, the discount and the last index of three steps with γ = ½; the episode has `steps`."""
    discount = jnp.where((jnp.arange(3) == steps - 1) & terminated, 0.0, 0.5)
    return [float(x) for x in jax.jit(n_step)(R, discount, jnp.int32(steps))]


def test_the_rewards_of_n_steps_are_discounted_and_summed():
    assert ahead(3) == ahead(9) == [1 + 1 + 1, 0.125, 2]


def test_no_sum_runs_past_the_end_of_an_episode():
    assert ahead(2, terminated=True) == [1 + 1, 0.0, 1]
    assert ahead(2) == [1 + 1, 0.25, 1]  # a truncation bootstraps
    assert ahead(1, terminated=True) == [1, 0.0, 0]
    assert ahead(1) == [1, 0.5, 0]


def test_rewards_after_the_end_are_ignored_even_nan():
    total, discount, _ = jax.jit(n_step)(jnp.array([1.0, jnp.nan]), jnp.array([0.5, 0.5]), jnp.int32(1))
    assert (float(total), float(discount)) == (1.0, 0.5)


def test_the_choice_is_the_networks_and_its_value_the_lagged_networks():
    q, slow = jnp.array([1.0, 3.0, 2.0]), jnp.array([10.0, 20.0, 30.0])
    assert float(double_q_target(jnp.float32(1.0), jnp.float32(0.5), q, slow)) == 11.0
    assert float(double_q_target(jnp.float32(1.0), jnp.float32(0.0), q, slow * jnp.nan)) == 1.0


@pytest.mark.parametrize(
    ("error", "delta", "loss", "slope"),
    [
        (0.5, 1.0, 0.125, 0.5),
        (-3.0, 1.0, 2.5, -1.0),
        (1.0, 1.0, 0.5, 1.0),
        (5.0, 2.0, 8.0, 2.0),
        (5.0, None, 12.5, 5.0),
    ],
)
def test_huber(error: float, delta: float | None, loss: float, slope: float):
    assert float(huber(jnp.float32(error), delta)) == loss
    assert float(jax.grad(huber)(jnp.float32(error), delta)) == slope
