"""Taylor & Stone's five numbers, worked by hand."""

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


def test_jumpstart_and_asymptote_are_the_ends():
    assert jumpstart(np.array([7.0, 9.0]), RETURNS) == 7.0
    assert asymptote(RETURNS) == 20.0


def test_total_by_hand():
    """100 steps at 5 on average, 200 at 15: (500 + 3000) / 300."""
    assert averaged_return(STEPS, RETURNS, 300.0) == pytest.approx(3500 / 300)


def test_total_cuts_within_a_segment_and_holds_the_end():
    assert averaged_return(STEPS, RETURNS, 200.0) == pytest.approx(
        (500 + 1250) / 200
    )  # from 10 to 15 in the second hundred
    assert averaged_return(STEPS, RETURNS, 400.0) == pytest.approx((3500 + 2000) / 400)
    assert averaged_return(np.array([0.0]), np.array([4.0]), 400.0) == 4.0  # a policy that is only run
    assert averaged_return(STEPS, RETURNS, 0.0) == 0.0


def test_total_does_not_mind_how_finely_a_curve_was_judged():
    fine = np.array([0.0, 1.0, 2.0, 50.0, 100.0, 250.0, 300.0])
    assert averaged_return(fine, np.interp(fine, STEPS, RETURNS), 300.0) == pytest.approx(
        averaged_return(STEPS, RETURNS, 300.0)
    )


def test_a_curve_in_disorder_is_refused():
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
    luck = np.arange(seeds, dtype=float)[:, None]
    line, bent = np.array([0.0, 50.0, 100.0]), np.array([0.0, 10.0, 100.0])
    return {
        "scratch": (np.tile(line, (seeds, 1)), line / 10.0 + luck),
        "finetune": (np.tile(bent, (seeds, 1)), 20.0 + bent / 10.0 + luck),
        "naive": (np.zeros((seeds, 1)), np.ones((seeds, 1))),
    }


def test_summary_by_hand():
    """The seeds add 0 … 4, of which the IQM is 2 and cancels within a pair."""
    told = summarize_metrics(_curves(), random_return=2.0, threshold=9.0)
    finetune, scratch = told["finetune"], told["scratch"]
    assert finetune["jumpstart"] == {"iqm": 20.0, "low": 20.0, "high": 20.0, "seeds": 5, "left_out": 0}
    assert scratch["total"]["iqm"] == pytest.approx(5.0 + 2.0)
    assert finetune["total"]["iqm"] == pytest.approx(25.0 + 2.0)
    assert scratch["total"]["low"] < 7.0 < scratch["total"]["high"]
    assert finetune["asymptote"]["iqm"] == pytest.approx(32.0)
    assert finetune["transfer_ratio"]["iqm"] == pytest.approx(25.0 / 5.0)
    assert scratch["transfer_ratio"]["iqm"] == pytest.approx(1.0)
    assert scratch["time_to_threshold"]["iqm"] == pytest.approx(70.0)  # (9 - 2) of 10 returns in 100 steps
    assert finetune["time_to_threshold"]["iqm"] == 0.0
    assert told["naive"]["total"]["iqm"] == 1.0
    assert told["naive"]["time_to_threshold"]["iqm"] is None
    assert told["naive"]["time_to_threshold"]["censored"] == 5


def test_runs_that_never_arrive_count_as_the_budget():
    """Scratch ends at 10 … 14, so of five seeds two (10 and 11) never reach 12; the others at 100, 90 and 80."""
    told = summarize_metrics(_curves(), random_return=0.0, threshold=12.0)["scratch"]["time_to_threshold"]
    assert told["censored"] == 2
    assert told["iqm"] == pytest.approx((100.0 + 100.0 + 90.0) / 3.0)
    assert told["high"] <= 100.0


def test_an_arrival_after_the_common_budget_does_not_count():
    told = summarize_metrics(_curves(), random_return=0.0, threshold=9.0, budget=60.0)["scratch"]["time_to_threshold"]
    assert told["censored"] == 3  # the seeds arrive at 90, 80, 70, 60, 50
    assert told["iqm"] == pytest.approx(60.0)


def test_no_ratio_where_scratch_does_not_leave_the_random_policy():
    told = summarize_metrics(_curves(), random_return=8.0, threshold=None)["finetune"]
    assert told["transfer_ratio"]["iqm"] is None
    assert "did not improve clearly on the random policy" in told["transfer_ratio"]["reason"]
    assert told["time_to_threshold"]["iqm"] is None


def test_failed_seeds_are_left_out_of_every_metric_of_their_pair():
    curves = _curves()
    curves["finetune"][1][1] = np.nan
    told = summarize_metrics(curves, random_return=2.0, threshold=9.0)["finetune"]
    assert {name: metric["left_out"] for name, metric in told.items()} == dict.fromkeys(told, 1)
    assert told["jumpstart"]["iqm"] == 20.0
    curves["finetune"][1][:] = np.nan
    gone = summarize_metrics(curves, random_return=2.0, threshold=9.0)["finetune"]
    assert all(metric["iqm"] is None for metric in gone.values())


def test_without_scratch_nothing_is_compared_to_it():
    told = summarize_metrics({"finetune": _curves()["finetune"]}, random_return=2.0, threshold=9.0)["finetune"]
    assert told["jumpstart"]["iqm"] is None
    assert told["transfer_ratio"]["iqm"] is None
    assert told["total"]["iqm"] == pytest.approx(27.0)


def test_the_common_budget_is_what_all_learners_cover():
    curves = _curves()
    curves["finetune"][0][3, -1] = 90.0
    assert common_budget(curves) == 90.0  # the naive row, which spends nothing, is no bound
    assert common_budget({"naive": curves["naive"]}) == 0.0
    np.testing.assert_allclose(averaged_returns(curves["naive"], 90.0), 1.0)
