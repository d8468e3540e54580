"""Running statistics, against numpy."""

import jax
import numpy as np
import pytest
from probes import floats

from headstart.nets.running_statistics import running_mean_std, running_rms

include = jax.jit(lambda seen, x, weight: seen.update(x, weight))
normalise = jax.jit(lambda seen, x, clip=10.0: seen.normalize(x, clip), static_argnames="clip")
rms = jax.jit(lambda seen: seen.rms)
F = np.float32


def test_merged_batches_have_the_moments_of_all_their_rows_with_weight():
    rng = np.random.default_rng(0)
    batches = [rng.normal(loc, 3.0, (n, 2)).astype(np.float32) for loc, n in ((100.0, 5), (-7.0, 40), (3.0, 11))]
    weights = [(rng.random(len(x)) < 0.6).astype(np.float32) for x in batches]
    seen = running_mean_std(2)
    for x, weight in zip(batches, weights, strict=True):
        seen = include(seen, x, weight)

    rows = np.concatenate(batches)[np.concatenate(weights) > 0].astype(np.float64)
    np.testing.assert_allclose(seen.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(seen.variance, rows.var(0), rtol=1e-5)
    assert seen.count.tolist() == [len(rows)] * 2


def test_a_far_mean_does_not_swallow_the_variance():
    x = 10_000.0 + np.random.default_rng(0).normal(0.0, 1.0, (500, 1)).astype(np.float32)
    seen = running_mean_std(1)
    for part in np.split(x, 5):
        seen = include(seen, part, np.ones(100, F))
    np.testing.assert_allclose(seen.variance, x.astype(np.float64).var(0), rtol=1e-3)


def test_rows_without_weight_may_hold_anything():
    x = floats([[1.0], [3.0], [np.nan], [np.inf]])
    weight = floats([1.0, 1.0, 0.0, 0.0])
    seen = include(running_mean_std(1), x, weight)
    assert [x.tolist() for x in (seen.mean, seen.variance, seen.count)] == [[2.0], [1.0], [2.0]]
    assert float(include(running_rms(), x[:, 0], weight).square) == 5.0


def test_a_batch_without_weight_teaches_nothing():
    fresh = include(running_mean_std(2), np.full((3, 2), 7.0, F), np.zeros(3, F))
    np.testing.assert_array_equal(fresh.variance, [1.0, 1.0])
    assert float(rms(include(running_rms(), np.full(3, 7.0, F), np.zeros(3, F)))) == pytest.approx(1.0)


def test_without_data_nothing_is_normalized():
    x = floats([0.5, -2.0])
    np.testing.assert_allclose(normalise(running_mean_std(2), x), x)
    assert float(rms(running_rms())) == pytest.approx(1.0)


def test_normalise_by_hand():
    seen = include(running_mean_std(1), floats([[1.0], [5.0]]), np.ones(2, F))  # mean 3, deviation 2
    assert normalise(seen, floats([4.0])).tolist() == pytest.approx([0.5])
    assert normalise(seen, floats([1000.0])).tolist() == [10.0]
    assert normalise(seen, floats([1000.0]), clip=3.0).tolist() == [3.0]


def test_scale_is_the_root_mean_square_of_all_data():
    seen = include(include(running_rms(), floats([3.0, 9.0]), floats([1.0, 0.0])), floats([4.0, 5.0]), np.ones(2, F))
    assert float(rms(seen)) == pytest.approx(((9 + 16 + 25) / 3) ** 0.5)
    assert float(seen.count) == 3.0


def test_no_gradient_moves_a_statistic():
    seen = include(running_mean_std(2), floats([[1.0, 2.0], [5.0, 3.0]]), np.ones(2, F))
    gradient = jax.jit(jax.grad(lambda seen, x: seen.normalize(x).sum()))(seen, np.ones(2, F))
    assert not any(np.any(x) for x in jax.tree.leaves(gradient))


# ------------------------------------------------------------------------------------------------ constants


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-3, 12_345.678])
def test_a_number_that_never_varied_has_no_variance_however_long_and_counts_in_its_own_units(value: float):
    """In float32, 20 000 additions of 0.1 do not give 2 000, nor a mean of 0.1."""
    seen = running_mean_std(2)
    for rows in (20_000, 7, 3_000):
        x = np.stack([np.full(rows, value), np.random.default_rng(rows).normal(size=rows)], 1).astype(F)
        seen = include(seen, x, np.ones(rows, F))
    assert seen.constant.tolist() == [True, False]
    assert (float(seen.mean[0]), float(seen.variance[0])) == (F(value), 0.0)
    result = normalise(seen, floats([F(value) + F(0.01), 0.0]))
    assert float(result[0]) == pytest.approx(0.01, rel=0.05)
    assert float(normalise(seen, floats([value + 1e6, 0.0]))[0]) == 10.0  # still clipped


def test_noise_is_no_variation_and_a_small_spread_is_one():
    rng = np.random.default_rng(0)
    spread = floats([1e-8, 1e-5, 1e-3, 1.0])  # around 1
    x = (1.0 + spread * rng.normal(size=(5_000, 4))).astype(F)
    assert include(running_mean_std(4), x, np.ones(5_000, F)).constant.tolist() == [True, False, False, False]


def test_rows_without_weight_do_not_make_a_constant_vary():
    seen = include(running_mean_std(1), floats([[7.0], [2.0], [np.nan], [2.0]]), floats([0.0, 1.0, 0.0, 1.0]))
    assert (float(seen.mean[0]), float(seen.variance[0])) == (2.0, 0.0)
    later = include(seen, floats([[2.0], [3.0]]), floats([0.0, 1.0]))
    assert (float(later.mean[0]), float(later.variance[0])) == (pytest.approx(7 / 3), pytest.approx(2 / 9))


def test_nothing_is_constant_without_data():
    assert not running_mean_std(3).constant.any()


def test_in_another_training_constants_are_reset_and_the_rest_continues():
    """Merged, 0.5 and 0.501 would have a deviation below a millimetre, and the new one would lie nine of it away."""
    rows = np.ones(1_000, F)
    seen = include(running_mean_std(2), np.stack([0.5 * rows, np.arange(1_000, dtype=F)], 1), rows)
    entered = seen.for_new_training()
    assert entered.count.tolist() == [0.0, 1_000.0]
    assert float(normalise(entered, floats([0.501, 0.0]))[0]) == pytest.approx(0.001, rel=1e-3)
    there = include(entered, np.stack([0.501 * rows[:10], rows[:10]], 1), rows[:10])
    assert there.constant.tolist() == [True, False]
    assert float(normalise(there, floats([0.501, 0.0]))[0]) == 0.0
    assert there.count.tolist() == [10.0, 1_010.0]
