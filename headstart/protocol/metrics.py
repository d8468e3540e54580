"""The five transfer metrics of Taylor & Stone 2009 (JMLR 10, section 2) on learning curves.

A curve is `steps[point]`, `returns[point]` of one seed: target steps so far, and the evaluated return. It is linear
between points and constant before the first and after the last one. Seeds differ in their steps, so areas are taken
over each curve, up to a common budget. A curve with a NaN has failed and has NaN metrics; `summarize_metrics` leaves it
out and counts it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from headstart.core.errors import InputError
from headstart.protocol.baselines import SCRATCH
from headstart.protocol.statistics import Interval, bootstrap, iqm, paired_difference

Curve = tuple[Float[np.ndarray, "seed _point"], Float[np.ndarray, "seed _point"]]  # steps, returns
Summary = dict[str, Any]  # iqm, low, high (numbers or None), seeds, left_out, and censored or reason where it applies


def jumpstart(returns: Float[np.ndarray, " point"], scratch: Float[np.ndarray, " other"]) -> float:
    """Returns the first return minus that of scratch. Both are of the same seed."""
    return float(returns[0] - scratch[0])


def asymptote(returns: Float[np.ndarray, " point"]) -> float:
    """Returns the last return."""
    return float(returns[-1])


def averaged_return(steps: Float[np.ndarray, " point"], returns: Float[np.ndarray, " point"], budget: float) -> float:
    """Returns the area under the curve from 0 to `budget` steps, divided by `budget`: the return averaged over steps.

    With a budget of 0 this is the first return. Raises InputError if the steps decrease.
    """
    if np.any(np.diff(steps) < 0.0):
        raise InputError("The steps of a curve decrease; give its points in the order of their steps.")
    if budget <= 0.0:
        return float(returns[0])
    grid = np.concatenate([[0.0], steps[(steps > 0.0) & (steps < budget)], [budget]])
    return float(np.trapezoid(np.interp(grid, steps, returns), grid) / budget)


def transfer_ratio(total: float, scratch: float, random: float) -> float:
    """Returns (total - random) / (scratch - random): the gain over random in multiples of that of scratch.

    1 is as good as scratch. NaN if scratch gained nothing.
    """
    gain = scratch - random
    return (total - random) / gain if gain > 0.0 else float("nan")


def time_to_threshold(
    steps: Float[np.ndarray, " point"], returns: Float[np.ndarray, " point"], threshold: float
) -> float | None:
    """Returns the steps at which the curve first reaches the threshold; None if it never does (censored)."""
    reached = returns >= threshold
    if not reached.any():
        return None
    i = int(np.argmax(reached))
    if i == 0:
        return float(steps[0])
    share = (threshold - returns[i - 1]) / (returns[i] - returns[i - 1])
    return float(steps[i - 1] + share * (steps[i] - steps[i - 1]))


def averaged_returns(curve: Curve, budget: float) -> Float[np.ndarray, " seed"]:
    """Returns `averaged_return` of each seed, which the verdicts compare."""
    return np.array([averaged_return(steps, returns, budget) for steps, returns in zip(*curve, strict=True)])


def common_budget(curves: Mapping[str, Curve]) -> float:
    """Returns the steps that all curves cover. Curves without steps (policies that do not adapt) are ignored."""
    ends = np.concatenate([np.zeros(0), *(steps[:, -1] for steps, _ in curves.values() if steps.size)])
    return float(min(ends[ends > 0.0], default=0.0))


def summarize_metrics(
    curves: Mapping[str, Curve],
    random_return: float | None,
    threshold: float | None,
    budget: float | None = None,
    scratches: Mapping[str, str] | None = None,
    no_threshold: str | None = None,
) -> dict[str, dict[str, Summary]]:
    """Returns the five metrics of each curve over its seeds, each as an IQM with a 95 % bootstrap interval.

    Row i of all curves is the same seed. `budget` is in target steps; None: the most that all curves cover. If a metric
    is undefined, its numbers are None and `reason` says why; `no_threshold` is the reason of a missing threshold.
    `scratches` names the scratch row that a row is compared with; it is `scratch` for rows that are not in it.
    """
    budget = common_budget(curves) if budget is None else budget
    scratch_of = lambda name: curves.get((scratches or {}).get(name, SCRATCH))
    return {
        name: {
            "jumpstart": _jumpstart(curve, scratch_of(name)),
            "asymptote": _summary(bootstrap(curve[1][:, -1])),
            "total": _summary(bootstrap(averaged_returns(curve, budget))),
            "transfer_ratio": _transfer_ratio(curve, scratch_of(name), random_return, budget),
            "time_to_threshold": _time_to_threshold(curve, threshold, budget, no_threshold),
        }
        for name, curve in curves.items()
    }


def _summary(interval: Interval, **more: Any) -> Summary:
    """Returns the interval as data, with None for NaN."""
    return {
        key: None if value is None or np.isnan(value) else value for key, value in interval._asdict().items()
    } | more


def _undefined(reason: str, **more: Any) -> Summary:
    return {"iqm": None, "low": None, "high": None, **more, "reason": reason}


def _jumpstart(curve: Curve, scratch: Curve | None) -> Summary:
    if scratch is None:
        return _undefined("there is no run from scratch to compare with")
    return _summary(paired_difference(curve[1][:, 0], scratch[1][:, 0]))


def _transfer_ratio(curve: Curve, scratch: Curve | None, random: float | None, budget: float) -> Summary:
    """Returns the ratio of two IQMs over the same resampled seeds; a ratio of each seed would be unbounded."""
    if scratch is None or random is None or np.isnan(random):
        return _undefined("it needs a run from scratch and the return of the random policy")
    ours, baseline = averaged_returns(curve, budget), averaged_returns(scratch, budget)
    finite = np.isfinite(ours) & np.isfinite(baseline)
    if not finite.any():
        return _undefined("no seed finished both with this method and from scratch")
    if bootstrap(baseline[finite]).low <= random:
        return _undefined("scratch did not improve clearly on the random policy")
    pairs = np.stack([ours[finite], baseline[finite]], axis=1)

    def ratio(rows: np.ndarray, axis: int) -> np.ndarray:
        drawn = iqm(pairs[rows.astype(int)], axis)
        return (drawn[..., 0] - random) / (drawn[..., 1] - random)

    interval = bootstrap(np.arange(len(pairs), dtype=float), ratio)
    return _summary(interval._replace(left_out=int((~finite).sum())))


def _time_to_threshold(curve: Curve, threshold: float | None, budget: float, no_threshold: str | None) -> Summary:
    """Returns the time to the threshold. Runs that never reach it count as the budget, so the IQM is a lower bound."""
    if threshold is None or np.isnan(threshold):
        return _undefined(no_threshold or "no threshold was set", censored=0)
    finished = np.isfinite(curve[1]).all(axis=1)
    times = [time_to_threshold(s, r, threshold) for s, r in zip(curve[0][finished], curve[1][finished], strict=True)]
    censored = sum(time is None or time > budget for time in times)
    if times and censored == len(times):
        return _undefined(
            "no seed reached the threshold", censored=censored, seeds=censored, left_out=int((~finished).sum())
        )
    capped = np.full(finished.shape, np.nan)
    capped[finished] = [budget if time is None else min(time, budget) for time in times]
    return _summary(bootstrap(capped), censored=censored)
