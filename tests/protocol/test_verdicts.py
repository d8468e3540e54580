"""Verdicts by numbers one can check by hand, and by SciPy's own tests."""

import numpy as np
import pytest
from scipy import stats

from headstart.protocol.verdicts import compare_family, difference_data, holm, paired_t_tests

ZERO = np.zeros(5)
RISING = np.array([1.0, 2.0, 3.0, 4.0, 5.0])  # mean 3, standard error sqrt(2.5 / 5) = 0.7071: t = 4.243 of 4 degrees


def test_single_row_equals_the_paired_t_test():
    differences = compare_family({"it": (RISING, ZERO)})["it"]
    exact = stats.ttest_rel(RISING, ZERO)
    interval = exact.confidence_interval(0.95)
    assert differences.mean == 3.0
    assert differences.p == pytest.approx(exact.pvalue)
    assert differences.p == pytest.approx(0.01324, abs=1e-5)
    assert (differences.low, differences.high) == pytest.approx((interval.low, interval.high))
    assert (differences.pairs, differences.family, differences.verdict, differences.no_verdict) == (
        5,
        1,
        "positive",
        None,
    )
    assert compare_family({"it": (ZERO, RISING)})["it"].verdict == "negative"


def test_holm_by_hand():
    """4 x 0.01 = 0.04; 3 x 0.02 = 0.06 is above 0.05, so it and all that come after it are refused at 0.05 / 3."""
    p, level = holm(np.array([0.02, 0.01, 0.024, 0.9]))
    np.testing.assert_allclose(p, [0.06, 0.04, 0.06, 0.9])
    np.testing.assert_allclose(level, [0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    p, level = holm(np.array([0.001, np.nan, 0.04]))  # NaN is not in the family
    np.testing.assert_allclose(p, [0.002, np.nan, 0.04])
    np.testing.assert_allclose(level, [0.025, 0.05, 0.05])


def test_larger_family_gives_larger_p_values():
    noise = np.array([1.0, -1.0, 0.5, -0.5, 0.1])
    differences = compare_family({"it": (RISING, ZERO), **dict.fromkeys(range(7), (noise, ZERO))})
    assert differences["it"].p_holm == pytest.approx(8 * 0.01324, abs=1e-4)
    assert {difference.verdict for difference in differences.values()} == {"none"}
    assert {difference.family for difference in differences.values()} == {8}


def test_interval_excludes_zero_exactly_where_there_is_a_verdict():
    generator = np.random.default_rng(0)
    differences = generator.normal(generator.normal(0.0, 1.0, (300, 6, 1)), 1.0, (300, 6, 7))
    tests = paired_t_tests(differences)
    excludes_zero = (tests.low > 0.0) | (tests.high < 0.0)
    np.testing.assert_array_equal(excludes_zero, tests.p_holm <= 0.05)
    assert 0.2 < excludes_zero.mean() < 0.8


def test_fewer_than_five_pairs_give_no_verdict():
    for n in (0, 1, 2, 4):
        differences = compare_family({"it": (100.0 + np.arange(float(n)), np.zeros(n))})["it"]
        assert differences.verdict is None
        assert differences.no_verdict == f"A verdict takes at least 5 seeds that both rows finished; here are {n}."
        assert difference_data(differences)["p"] is None
        assert differences.family == 0
    two_of_five = np.array([100.0, 100.1, np.nan, np.nan, np.inf])
    differences = compare_family({"it": (two_of_five, ZERO)})["it"]
    assert differences.verdict is None
    assert str(differences.no_verdict).endswith("here are 2 (3 of its seeds failed, 0 of its control's).")


def test_failed_seed_prevents_a_verdict_in_favour_of_its_row():
    rising, nothing = np.array([*RISING, np.nan]), np.zeros(6)
    assert compare_family({"it": (rising, nothing)})["it"].verdict is None
    assert "1 of its seeds failed" in str(compare_family({"it": (rising, nothing)})["it"].no_verdict)
    assert compare_family({"it": (-rising, nothing)})["it"].verdict == "negative"  # failing is worse still
    differences = compare_family({"it": (nothing, rising)})["it"]  # here the control lost a seed, and would win
    assert differences.verdict is None
    assert (
        differences.no_verdict
        == "1 of its control's seeds failed, which counts against it; on the other 5 it is below."
    )


def test_verdicts_of_equal_rows_and_of_constant_differences():
    offsets = np.array([0.0, 100.0, 200.0, 300.0, 400.0])
    differences = compare_family(
        {"same": (offsets, offsets), "better": (offsets + 2.0, offsets), "worse": (offsets - 2.0, offsets)}
    )
    assert [difference.verdict for difference in differences.values()] == ["none", "positive", "negative"]
    assert differences["same"].p == 1.0
    assert (differences["better"].low, differences["better"].high) == (2.0, 2.0)


@pytest.mark.parametrize("relative_error", [1e-15, 1e-7])
def test_scores_that_differ_by_rounding_are_equal(relative_error: float):
    control = np.array([-8.0, 100.0, 3.3, 0.0, -1e6])
    differences = compare_family({"row": (control * (1.0 + relative_error), control)})["row"]
    assert (differences.mean, differences.p, differences.verdict) == (0.0, 1.0, "none")
    assert compare_family({"row": (control + 0.01, control)})["row"].mean > 0.005


def test_false_positive_rate_of_a_family_is_five_percent():
    generator = np.random.default_rng(1)
    for rows, seeds in ((1, 5), (8, 5), (8, 10)):
        returns = generator.normal(size=(4_000, rows + 1, seeds))  # the last row is what all are compared with
        error_rate = (paired_t_tests(returns[:, :-1] - returns[:, -1:]).p_holm <= 0.05).any(-1).mean()
        assert 0.03 < error_rate < 0.06
