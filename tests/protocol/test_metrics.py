"""The five metrics of Taylor & Stone, worked out by hand."""

import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.protocol.metrics import (
    asymptote,
    averaged_return,
    averaged_returns,
    common_budget,
    jumpstart,
    summarize_metrics,
    time_to_threshold,
    transfer_ratio,
)

STEPS = np.array([0.0, 100.0, 300.0])
RETURNS = np.array([0.0, 10.0, 20.0])


def test_jumpstart_is_the_first_and_asymptote_the_last_return():
    assert jumpstart(np.array([7.0, 9.0]), RETURNS) == 7.0
    assert asymptote(RETURNS) == 20.0


def test_averaged_return_by_hand():
    """100 steps at 5 on average, 200 at 15: (500 + 3000) / 300."""
    assert averaged_return(STEPS, RETURNS, 300.0) == pytest.approx(3500 / 300)


def test_averaged_return_cuts_within_a_segment_and_extends_the_last_return():
    assert averaged_return(STEPS, RETURNS, 200.0) == pytest.approx(
        (500 + 1250) / 200
    )  # from 10 to 15 in the second hundred
    assert averaged_return(STEPS, RETURNS, 400.0) == pytest.approx((3500 + 2000) / 400)
    assert averaged_return(np.array([0.0]), np.array([4.0]), 400.0) == 4.0  # a policy that is only run
    assert averaged_return(STEPS, RETURNS, 0.0) == 0.0


def test_averaged_return_does_not_depend_on_the_number_of_evaluations():
    fine = np.array([0.0, 1.0, 2.0, 50.0, 100.0, 250.0, 300.0])
    assert averaged_return(fine, np.interp(fine, STEPS, RETURNS), 300.0) == pytest.approx(
        averaged_return(STEPS, RETURNS, 300.0)
    )


def test_curve_with_decreasing_steps_is_refused():
    with pytest.raises(InputError, match="order"):
        averaged_return(STEPS[::-1].copy(), RETURNS, 300.0)


def test_transfer_ratio_is_of_gains_over_the_random_policy():
    assert transfer_ratio(total=16.0, scratch=11.0, random=1.0) == pytest.approx(1.5)
    assert np.isnan(transfer_ratio(total=16.0, scratch=1.0, random=1.0))


def test_time_to_threshold_is_interpolated():
    assert time_to_threshold(STEPS, RETURNS, 15.0) == pytest.approx(200.0)
    assert time_to_threshold(STEPS, RETURNS, 10.0) == pytest.approx(100.0)
    assert time_to_threshold(STEPS, RETURNS, -1.0) == 0.0
    assert time_to_threshold(STEPS, RETURNS, 20.5) is None


def test_time_to_threshold_is_the_first_crossing():
    assert time_to_threshold(np.arange(4.0), np.array([0.0, 4.0, 0.0, 4.0]), 2.0) == pytest.approx(0.5)


def _curves(seeds: int = 5):
    """Three straight lines to 100 steps: from 0 to 10, from 20 to 30 on other steps, and one that stays at 1."""
    offsets = np.arange(seeds, dtype=float)[:, None]
    line, bent = np.array([0.0, 50.0, 100.0]), np.array([0.0, 10.0, 100.0])
    return {
        "scratch": (np.tile(line, (seeds, 1)), line / 10.0 + offsets),
        "finetune": (np.tile(bent, (seeds, 1)), 20.0 + bent / 10.0 + offsets),
        "naive": (np.zeros((seeds, 1)), np.ones((seeds, 1))),
    }


def test_summary_by_hand():
    """The seeds add 0 … 4, of which the IQM is 2 and cancels within a pair."""
    metrics = summarize_metrics(_curves(), random_return=2.0, threshold=9.0)
    finetune, scratch = metrics["finetune"], metrics["scratch"]
    assert finetune["jumpstart"] == {"iqm": 20.0, "low": 20.0, "high": 20.0, "seeds": 5, "left_out": 0}
    assert scratch["total"]["iqm"] == pytest.approx(5.0 + 2.0)
    assert finetune["total"]["iqm"] == pytest.approx(25.0 + 2.0)
    assert scratch["total"]["low"] < 7.0 < scratch["total"]["high"]
    assert finetune["asymptote"]["iqm"] == pytest.approx(32.0)
    assert finetune["transfer_ratio"]["iqm"] == pytest.approx(25.0 / 5.0)
    assert scratch["transfer_ratio"]["iqm"] == pytest.approx(1.0)
    assert scratch["time_to_threshold"]["iqm"] == pytest.approx(70.0)  # (9 - 2) of 10 returns in 100 steps
    assert finetune["time_to_threshold"]["iqm"] == 0.0
    assert metrics["naive"]["total"]["iqm"] == 1.0
    assert metrics["naive"]["time_to_threshold"]["iqm"] is None
    assert metrics["naive"]["time_to_threshold"]["censored"] == 5


def test_runs_that_never_reach_the_threshold_count_as_the_budget():
    """Scratch ends at 10 … 14, so of five seeds two (10 and 11) never reach 12; the others at 100, 90 and 80."""
    metrics = summarize_metrics(_curves(), random_return=0.0, threshold=12.0)["scratch"]["time_to_threshold"]
    assert metrics["censored"] == 2
    assert metrics["iqm"] == pytest.approx((100.0 + 100.0 + 90.0) / 3.0)
    assert metrics["high"] <= 100.0


def test_reaching_the_threshold_after_the_budget_does_not_count():
    metrics = summarize_metrics(_curves(), random_return=0.0, threshold=9.0, budget=60.0)["scratch"][
        "time_to_threshold"
    ]
    assert metrics["censored"] == 3  # the seeds arrive at 90, 80, 70, 60, 50
    assert metrics["iqm"] == pytest.approx(60.0)


def test_no_ratio_if_scratch_is_not_better_than_random():
    metrics = summarize_metrics(_curves(), random_return=8.0, threshold=None)["finetune"]
    assert metrics["transfer_ratio"]["iqm"] is None
    assert "did not improve clearly on the random policy" in metrics["transfer_ratio"]["reason"]
    assert metrics["time_to_threshold"]["iqm"] is None


def test_failed_seeds_are_left_out_of_all_metrics_of_their_pair():
    curves = _curves()
    curves["finetune"][1][1] = np.nan
    metrics = summarize_metrics(curves, random_return=2.0, threshold=9.0)["finetune"]
    assert {name: metric["left_out"] for name, metric in metrics.items()} == dict.fromkeys(metrics, 1)
    assert metrics["jumpstart"]["iqm"] == 20.0
    curves["finetune"][1][:] = np.nan
    failed = summarize_metrics(curves, random_return=2.0, threshold=9.0)["finetune"]
    assert all(metric["iqm"] is None for metric in failed.values())


def test_comparisons_are_undefined_without_scratch():
    metrics = summarize_metrics({"finetune": _curves()["finetune"]}, random_return=2.0, threshold=9.0)["finetune"]
    assert metrics["jumpstart"]["iqm"] is None
    assert metrics["transfer_ratio"]["iqm"] is None
    assert metrics["total"]["iqm"] == pytest.approx(27.0)


def test_common_budget_ignores_policies_that_do_not_adapt():
    curves = _curves()
    curves["finetune"][0][3, -1] = 90.0
    assert common_budget(curves) == 90.0  # the naive row, which spends nothing, is no bound
    assert common_budget({"naive": curves["naive"]}) == 0.0
    np.testing.assert_allclose(averaged_returns(curves["naive"], 90.0), 1.0)
