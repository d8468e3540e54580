"""Losses that make two domains' features alike, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import floats

from headstart.losses import domain_confusion
from headstart.losses.domain_confusion import WIDTHS, reversal_strength, reverse_gradient

X = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0], [1.0, 5.0]], np.float32)
SHARE = np.array([0.5, 0.5, -0.5, -0.5], np.float32)  # means (1, 0) and (1, 4): 4 apart

discrepancy = jax.jit(domain_confusion.mmd, static_argnames="kernel")
slope_of = jax.jit(jax.value_and_grad(domain_confusion.mmd), static_argnames="kernel")


def test_a_reversed_gradient_goes_back_by_minus_lambda():
    x = jnp.array([1.0, -2.0, 3.0])
    for strength in (0.0, 0.25, 2.0):
        np.testing.assert_allclose(reverse_gradient(x, strength), x, rtol=1e-6)
        back = jax.grad(lambda x, strength=strength: (jnp.arange(3.0) * reverse_gradient(x, strength)).sum())(x)
        np.testing.assert_allclose(back, -strength * np.arange(3.0), rtol=1e-6)


def test_the_schedule_starts_at_zero_and_approaches_one():
    assert float(reversal_strength(0.0, 10.0)) == 0.0
    assert float(reversal_strength(0.1, 10.0)) == pytest.approx((1 - np.exp(-1)) / (1 + np.exp(-1)), rel=1e-5)
    assert float(reversal_strength(1.0, 10.0)) == pytest.approx(0.99991, abs=1e-5)


def test_the_linear_discrepancy_is_the_distance_of_the_means_by_that_of_rows():
    """Squared distances: 4; 10 and 26, twice each; 4. Their mean over all pairs, self-pairs included, is 10."""
    assert float(discrepancy(X, SHARE, "linear")) == pytest.approx(4.0**2 / 10.0)
    uneven = np.array([0.25, 0.75, -1.0, 0.0], np.float32)  # means (1.5, 0) and (1, 3); the last is not there
    value = float(discrepancy(X, uneven, "linear"))
    assert value == pytest.approx(float(discrepancy(X[:3], uneven[:3], "linear")))
    assert value == pytest.approx((0.5**2 + 3.0**2) / (2 * (0.25 * 0.75 * 4 + 0.25 * 10 + 0.75 * 10) / 4))


def test_the_gaussian_discrepancy_by_hand():
    k = lambda squared: np.mean([np.exp(-squared / 10.0 / width) for width in WIDTHS])
    within, between = (2 * 1 + 2 * k(4)) / 4, (2 * k(10) + 2 * k(26)) / 4
    assert float(discrepancy(X, SHARE, "gaussian")) == pytest.approx(2 * within - 2 * between, rel=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_clouds_that_are_one_are_not_apart_and_nothing_is_gained_by_shrinking(kernel: str):
    twice, halves = np.concatenate([X, X]), np.repeat(floats([0.25, -0.25]), 4)
    assert float(discrepancy(twice, halves, kernel)) == pytest.approx(0.0, abs=1e-6)
    value = [float(discrepancy(scale * X + 7.0, SHARE, kernel)) for scale in (1.0, 0.01)]
    assert value[0] == pytest.approx(value[1], rel=1e-2)
    _, slope = slope_of(X, SHARE, kernel)
    assert float((slope * X).sum()) == pytest.approx(0.0, abs=1e-5)  # none of it points to 0
    assert np.abs(slope).max() > 0.01


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_rows_that_are_all_the_same_give_a_finite_gradient(kernel: str):
    value, slope = slope_of(np.ones((4, 2), np.float32), SHARE, kernel)
    assert float(value) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(slope).all()


def test_only_gaussian_kernels_detect_another_shape_with_the_same_mean():
    x = np.array([[-1.0], [1.0], [-3.0], [3.0]], np.float32)
    assert float(discrepancy(x, SHARE, "linear")) == pytest.approx(0.0, abs=1e-6)
    assert float(discrepancy(x, SHARE, "gaussian")) > 0.1
