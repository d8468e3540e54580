"""Running statistics, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.nets.moments import moments, scale


def test_merged_batches_have_the_moments_of_all_their_rows_with_weight():
    rng = np.random.default_rng(0)
    batches = [rng.normal(loc, 3.0, (n, 2)).astype(np.float32) for loc, n in ((100.0, 5), (-7.0, 40), (3.0, 11))]
    weights = [(rng.random(len(x)) < 0.6).astype(np.float32) for x in batches]
    seen = moments(2)
    for x, weight in zip(batches, weights, strict=True):
        seen = seen.include(jnp.asarray(x), jnp.asarray(weight))

    rows = np.concatenate(batches)[np.concatenate(weights) > 0].astype(np.float64)
    np.testing.assert_allclose(seen.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(seen.variance, rows.var(0), rtol=1e-5)
    assert seen.count.tolist() == [len(rows)] * 2


def test_a_far_mean_does_not_swallow_the_variance():
    x = 10_000.0 + np.random.default_rng(0).normal(0.0, 1.0, (500, 1)).astype(np.float32)
    seen = moments(1)
    for part in np.split(x, 5):
        seen = seen.include(jnp.asarray(part), jnp.ones(100))
    np.testing.assert_allclose(seen.variance, x.astype(np.float64).var(0), rtol=1e-3)


def test_rows_without_weight_may_hold_anything():
    x = jnp.array([[1.0], [3.0], [jnp.nan], [jnp.inf]])
    weight = jnp.array([1.0, 1.0, 0.0, 0.0])
    seen = moments(1).include(x, weight)
    assert [float(seen.mean[0]), float(seen.variance[0]), float(seen.count[0])] == [2.0, 1.0, 2.0]
    assert float(scale().include(x[:, 0], weight).square) == 5.0


def test_a_batch_without_weight_teaches_nothing():
    fresh = moments(2).include(jnp.full((3, 2), 7.0), jnp.zeros(3))
    np.testing.assert_array_equal(fresh.variance, [1.0, 1.0])
    assert float(scale().include(jnp.full(3, 7.0), jnp.zeros(3)).rms) == pytest.approx(1.0)


def test_before_anything_was_seen_nothing_is_normalised():
    x = jnp.array([0.5, -2.0])
    np.testing.assert_allclose(moments(2).normalise(x), x)
    assert float(scale().rms) == pytest.approx(1.0)


def test_normalise_by_hand():
    seen = moments(1).include(jnp.array([[1.0], [5.0]]), jnp.ones(2))  # mean 3, deviation 2
    assert float(seen.normalise(jnp.array([4.0]))[0]) == pytest.approx(0.5)
    assert float(seen.normalise(jnp.array([1000.0]))[0]) == 10.0
    assert float(seen.normalise(jnp.array([1000.0]), clip=3.0)[0]) == 3.0


def test_scale_is_the_root_mean_square_of_all_that_was_seen():
    seen = scale().include(jnp.array([3.0, 9.0]), jnp.array([1.0, 0.0])).include(jnp.array([4.0, 5.0]), jnp.ones(2))
    assert float(seen.rms) == pytest.approx(((9 + 16 + 25) / 3) ** 0.5)
    assert float(seen.count) == 3.0


def test_no_gradient_moves_a_statistic():
    seen = moments(2).include(jnp.array([[1.0, 2.0], [5.0, 3.0]]), jnp.ones(2))
    gradient = jax.grad(lambda m: m.normalise(jnp.ones(2)).sum())(seen)
    assert not any(x.any() for x in jax.tree.leaves(gradient))
