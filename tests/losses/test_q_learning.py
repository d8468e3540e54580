"""Targets of Q-learning, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.losses.q_learning import double_q_target, huber, n_step

R = jnp.array([1.0, 2.0, 4.0, 8.0, 16.0])
NEXT = jnp.arange(1.0, 6.0)[:, None]
along = jax.jit(n_step, static_argnames="n")


def stream(n: int, ends: int | None = None, terminated: bool = True) -> list[list[float]]:
    """Returns sums, discounts and next values of five steps with γ = ½, whose episode ends at step `ends`."""
    last = jnp.arange(5) == (-1 if ends is None else ends)
    discount = jnp.where(last & terminated, 0.0, 0.5)
    total, follows, then = along(R, discount, last, NEXT, n=n)
    return [total.tolist(), follows.tolist(), then[:, 0].tolist()]


def test_one_step_is_the_transition_itself():
    assert stream(1, ends=1) == [R.tolist(), [0.5, 0.0, 0.5, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0, 5.0]]


def test_three_steps_and_fewer_at_the_streams_end():
    total, follows, then = stream(3)
    assert total == [1 + 1 + 1, 2 + 2 + 2, 4 + 4 + 4, 8 + 8, 16]
    assert follows == [0.125, 0.125, 0.125, 0.25, 0.5]
    assert then == [3.0, 4.0, 5.0, 5.0, 5.0]


def test_no_sum_runs_past_a_termination():
    total, follows, then = stream(3, ends=1)
    assert total == [1 + 1, 2, 4 + 4 + 4, 8 + 8, 16]
    assert follows == [0.0, 0.0, 0.125, 0.25, 0.5]
    assert then[2:] == [5.0, 5.0, 5.0]


def test_a_truncation_is_bootstrapped_at_its_own_next_observation():
    total, follows, then = stream(3, ends=1, terminated=False)
    assert total[:2] == [1 + 1, 2]
    assert follows[:2] == [0.25, 0.5]
    assert then[:2] == [2.0, 2.0]


def test_observations_of_any_shape_follow():
    images = np.arange(5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3)
    then = along(R, np.full(5, 0.5, np.float32), np.zeros(5, bool), images, n=2)[2]
    np.testing.assert_array_equal(then, images[[1, 2, 3, 4, 4]])


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
