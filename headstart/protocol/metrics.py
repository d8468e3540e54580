"""How much a transfer was worth: the five numbers of Taylor & Stone 2009 (JMLR 10, section 2) over a learning curve.

A curve is `steps[point]`, `returns[point]` of one seed: steps spent in the target so far, and the return judged there.
Between points it is a straight line; before the first and after the last it stays where it is. Every seed has its own
steps, so areas are taken over the curve itself, up to the budget that all share. A curve that holds a NaN failed, and
so has NaN metrics; `summarise` leaves it out and counts it.
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
    """-> how far above the one that starts from nothing it starts. Both are of the same seed."""
    return float(returns[0] - scratch[0])


def asymptote(returns: Float[np.ndarray, " point"]) -> float:
    """-> where it ends: the return at the last point."""
    return float(returns[-1])


def total(steps: Float[np.ndarray, " point"], returns: Float[np.ndarray, " point"], budget: float) -> float:
    """-> the area under the curve from 0 to `budget` steps divided by `budget`: its return averaged over the steps.

    With a budget of 0 this is the first return. Raises InputError where the steps go back.
    """
    if np.any(np.diff(steps) < 0.0):
        raise InputError("The steps of a curve go back somewhere; give its points in the order they were judged.")
    if budget <= 0.0:
        return float(returns[0])
    grid = np.concatenate([[0.0], steps[(steps > 0.0) & (steps < budget)], [budget]])
    return float(np.trapezoid(np.interp(grid, steps, returns), grid) / budget)


def transfer_ratio(total: float, scratch: float, random: float) -> float:
    """-> (total - random) / (scratch - random): how many times scratch's gain over acting at random.

    1: as good as from scratch. NaN where scratch gained nothing, as nothing can be a multiple of that.
    """
    gain = scratch - random
    return (total - random) / gain if gain > 0.0 else float("nan")


def time_to_threshold(
    steps: Float[np.ndarray, " point"], returns: Float[np.ndarray, " point"], threshold: float
) -> float | None:
    """-> the steps at which the curve first reaches the threshold; None where it never does (it is censored)."""
    reached = returns >= threshold
    if not reached.any():
        return None
    i = int(np.argmax(reached))
    if i == 0:
        return float(steps[0])
    share = (threshold - returns[i - 1]) / (returns[i] - returns[i - 1])
    return float(steps[i - 1] + share * (steps[i] - steps[i - 1]))


def totals(curve: Curve, budget: float) -> Float[np.ndarray, " seed"]:
    """-> `total` of every seed: what the verdict compares."""
    return np.array([total(steps, returns, budget) for steps, returns in zip(*curve, strict=True)])


def common_budget(curves: Mapping[str, Curve]) -> float:
    """-> the steps that every curve covers. A curve that spends nothing (a policy that is only run) is no bound."""
    ends = np.concatenate([np.zeros(0), *(steps[:, -1] for steps, _ in curves.values() if steps.size)])
    return float(min(ends[ends > 0.0], default=0.0))


def summarise(
    curves: Mapping[str, Curve],
    random_return: float | None,
    threshold: float | None,
    budget: float | None = None,
    scratches: Mapping[str, str] | None = None,
    untold: str | None = None,
) -> dict[str, dict[str, Summary]]:
    """-> for each curve the five metrics over its seeds, each an IQM with its 95 % bootstrap interval.

    Row i of every curve is the same seed. `budget` is in target steps; None: the most that all curves cover. Where a
    metric cannot be told, its numbers are None and `reason` says why; `untold` is why there is no threshold.
    `scratches` names the scratch row that a row is compared with; it is `scratch` for rows that are not in it.
    """
    budget = common_budget(curves) if budget is None else budget
    mine = lambda name: curves.get((scratches or {}).get(name, SCRATCH))
    return {
        name: {
            "jumpstart": _jumpstart(curve, mine(name)),
            "asymptote": _summary(bootstrap(curve[1][:, -1])),
            "total": _summary(bootstrap(totals(curve, budget))),
            "transfer_ratio": _transfer_ratio(curve, mine(name), random_return, budget),
            "time_to_threshold": _time_to_threshold(curve, threshold, budget, untold),
        }
        for name, curve in curves.items()
    }


def _summary(interval: Interval, **more: Any) -> Summary:
    """-> the interval as JSON can hold it: None for NaN."""
    return {
        key: None if value is None or np.isnan(value) else value for key, value in interval._asdict().items()
    } | more


def _untold(reason: str, **more: Any) -> Summary:
    return {"iqm": None, "low": None, "high": None, **more, "reason": reason}


def _jumpstart(curve: Curve, scratch: Curve | None) -> Summary:
    if scratch is None:
        return _untold("there is no run from scratch to start above")
    return _summary(paired_difference(curve[1][:, 0], scratch[1][:, 0]))


def _transfer_ratio(curve: Curve, scratch: Curve | None, random: float | None, budget: float) -> Summary:
    """The ratio of the two IQMs, both over the same seeds drawn again: a ratio per seed would have no bounds."""
    if scratch is None or random is None or np.isnan(random):
        return _untold("it takes a run from scratch and the random policy's return")
    ours, base = totals(curve, budget), totals(scratch, budget)
    both = np.isfinite(ours) & np.isfinite(base)
    if not both.any():
        return _untold("no seed finished both with this method and from scratch")
    if bootstrap(base[both]).low <= random:
        return _untold("learning from scratch did not clearly leave the random policy: there is no gain to compare to")
    pairs = np.stack([ours[both], base[both]], axis=1)

    def ratio(rows: np.ndarray, axis: int) -> np.ndarray:
        drawn = iqm(pairs[rows.astype(int)], axis)
        return (drawn[..., 0] - random) / (drawn[..., 1] - random)

    interval = bootstrap(np.arange(len(pairs), dtype=float), ratio)
    return _summary(interval._replace(left_out=int((~both).sum())))


def _time_to_threshold(curve: Curve, threshold: float | None, budget: float, untold: str | None) -> Summary:
    """Runs that never reach it count as if they had at the very end of the budget: the IQM is then a lower bound."""
    if threshold is None or np.isnan(threshold):
        return _untold(untold or "no threshold was set", censored=0)
    whole = np.isfinite(curve[1]).all(axis=1)
    times = [time_to_threshold(s, r, threshold) for s, r in zip(curve[0][whole], curve[1][whole], strict=True)]
    censored = sum(time is None or time > budget for time in times)
    if times and censored == len(times):
        return _untold("no seed reached the threshold", censored=censored, seeds=censored, left_out=int((~whole).sum()))
    capped = np.full(whole.shape, np.nan)
    capped[whole] = [budget if time is None else min(time, budget) for time in times]
    return _summary(bootstrap(capped), censored=censored)
