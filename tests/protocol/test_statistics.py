"""Statistics compared with numbers worked out by hand, and the coverage of their intervals."""

import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.protocol.statistics import (
    Interval,
    bootstrap,
    iqm,
    paired_difference,
    probability_of_improvement,
)


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([7.0], 7.0),
        ([1.0, 4.0], 2.5),
        ([0.0, 3.0, 9.0], 4.0),  # 3 // 4 = 0: nothing is cut
        ([100.0, 1.0, 3.0, -50.0], 2.0),  # the middle two
        ([100.0, 1.0, 2.0, 6.0, -50.0], 3.0),  # the middle three
        ([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 100.0], 5.5),  # 8 // 4 = 2 from each end: 4 5 6 7
    ],
)
def test_iqm(values, middle):
    assert iqm(np.array(values)) == pytest.approx(middle)


def test_iqm_reduces_an_axis_and_keeps_nan():
    x = np.array([[1.0, 2.0, 3.0, 40.0], [5.0, 6.0, 7.0, 80.0]])
    np.testing.assert_allclose(iqm(x, 1), [2.5, 6.5])
    np.testing.assert_allclose(iqm(x, 0), [3.0, 4.0, 5.0, 60.0])
    assert np.isnan(iqm(np.array([1.0, 2.0, 3.0, np.nan])))


def test_bootstrap_of_two_seeds_by_hand():
    """Draws of (0, 10) average 0, 5 or 10 with chances 1/4, 1/2, 1/4: the middle 95 % reach from 0 to 10."""
    assert bootstrap(np.array([0.0, 10.0])) == Interval(5.0, 0.0, 10.0, seeds=2, left_out=0)
    assert bootstrap(np.array([0.0, 10.0]), confidence=0.4)[:3] == (5.0, 5.0, 5.0)


def test_bootstrap_depends_only_on_its_seed():
    x = np.random.default_rng(3).normal(size=9)
    assert bootstrap(x, seed=1) == bootstrap(x, seed=1)
    assert bootstrap(x, seed=1) != bootstrap(x, seed=2)


def test_few_seeds_are_enumerated_and_many_are_drawn():
    """Of (0, 0, 3), 27 resamples have the means 0, 1, 2, 3 in 8, 12, 6, 1 of them: 26 of 27 is less than 97.5 %."""
    assert bootstrap(np.array([0.0, 0.0, 3.0]))[:3] == (1.0, 0.0, 3.0)
    assert bootstrap(np.array([0.0, 0.0, 3.0]), confidence=0.9)[:3] == (1.0, 0.0, 2.0)
    six = np.arange(6.0) ** 2
    assert bootstrap(six, seed=1, reps=1) == bootstrap(six, seed=2, reps=9)
    drawn = bootstrap(np.append(six, 10.0), reps=20_000, seed=1)
    assert drawn == bootstrap(np.append(six, 10.0), reps=20_000, seed=1)
    assert drawn != bootstrap(np.append(six, 10.0), reps=20_000, seed=2)


def test_failed_seeds_are_left_out_and_counted():
    interval = bootstrap(np.array([np.nan, 2.0, 2.0, np.inf]))
    assert interval == Interval(2.0, 2.0, 2.0, seeds=2, left_out=2)
    nothing = bootstrap(np.full(3, np.nan))
    assert np.isnan(nothing[:3]).all()
    assert nothing[3:] == (0, 3)
    assert paired_difference(np.array([3.0, np.nan, 5.0]), np.array([1.0, 1.0, np.nan]))[:] == (2.0, 2.0, 2.0, 1, 2)


def test_paired_difference_resamples_pairs():
    """Seeds differ by far more than the two methods do, and yet the difference is certain."""
    offsets = np.array([0.0, 100.0, 200.0, 300.0, 400.0])
    difference = paired_difference(offsets + 2.0, offsets)
    assert difference[:3] == pytest.approx((2.0, 2.0, 2.0))
    assert bootstrap(offsets + 2.0).low < bootstrap(offsets).high


def test_probability_of_improvement_by_hand():
    """Of the pairs of (1, 3) with (1, 2): 1-1 ties, 1 < 2, 3 > 1, 3 > 2: (1/2 + 0 + 1 + 1) / 4."""
    assert probability_of_improvement(np.array([1.0, 3.0]), np.array([1.0, 2.0])).iqm == pytest.approx(0.625)
    certain = probability_of_improvement(np.array([5.0, 6.0, np.nan]), np.array([1.0, 2.0, 3.0]))
    assert certain == Interval(1.0, 1.0, 1.0, seeds=2, left_out=1)
    same = np.arange(6.0)
    interval = probability_of_improvement(same, same)
    assert interval.iqm == pytest.approx(0.5)
    assert 0.0 <= interval.low < 0.5 < interval.high <= 1.0
    assert probability_of_improvement(np.array([2.0]), np.array([1.0, 3.0]))[:3] == (0.5, 0.5, 0.5)
    assert np.isnan(probability_of_improvement(np.array([np.nan]), np.array([1.0])).iqm)


def _coverage(seeds: int, trials: int = 300) -> float:
    generator = np.random.default_rng(0)
    intervals = [bootstrap(generator.normal(3.0, 1.0, seeds), reps=400, seed=i) for i in range(trials)]
    return float(np.mean([interval.low <= 3.0 <= interval.high for interval in intervals]))


def test_coverage_of_the_intervals():
    assert _coverage(40) > 0.90
    assert _coverage(5) > 0.85
    assert _coverage(3) < 0.82  # as the module's docstring warns


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match="confidence"):
        bootstrap(np.ones(3), confidence=95.0)
    with pytest.raises(InputError, match="reps"):
        bootstrap(np.ones(3), reps=0)
