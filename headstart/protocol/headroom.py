"""What there is to gain in the target: how far the best that is known lies above acting at random.

The threshold that counts as solved lies between the two, unless the user gives one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from headstart.protocol.statistics import iqm

SHARE = 0.8  # a threshold that was not given lies this far from the random policy's return to the best that is known
NOTHING_LEARNED = "nothing was learned"
REFERENCES = ("oracle", "scratch")  # who stands for what can be had, the first that has a result


class Headroom(NamedTuple):
    """The two ends of what can be had in the target, as IQMs over seeds; NaN where there is no result."""

    random: float
    best: float
    best_name: str
    learned: bool  # whether the best lies above acting at random by more than that one's spread
    threshold: float | None
    no_threshold: str | None  # why there is none
    highest: float = float("nan")  # of all rows, the best among them
    highest_name: str = ""

    def data(self, source_policy: float) -> dict[str, Any] | None:
        """Returns what the source's policy already has of it as plain data: `share` 1 leaves nothing to adapt.

        What can be had is what the highest row came to: an oracle that learned slowly is no ceiling.
        """
        if np.isnan([self.random, self.highest, source_policy]).any():
            return None
        gap = self.highest - self.random
        return {
            "source_policy": source_policy,
            "best": self.highest,
            "best_name": self.highest_name,
            "random": self.random,
            "learned": self.learned,
            "share": (source_policy - self.random) / gap if self.learned and gap > 0 else None,
        }


def headroom(ends: Mapping[str, Float[np.ndarray, " seed"]], threshold: float | None = None) -> Headroom:
    """Returns the head-room by the final returns of each row, `random` and `oracle` among them.

    The best is the oracle, or scratch where there is no oracle. Where that one learned nothing but another row did, it
    is that row.
    """
    random = ends.get("random", np.zeros(0))
    rows = {name: x for name, x in ends.items() if name != "random" and np.isfinite(x).any()}
    name = next((name for name in REFERENCES if name in rows), "")
    if not learned(rows.get(name, np.zeros(0)), random):
        others = [other for other, returns in rows.items() if learned(returns, random)]
        name = max(others, key=lambda other: middle(rows[other]), default=name)
    best = rows.get(name, np.zeros(0))
    found, floor, reason = learned(best, random), middle(random), None
    if threshold is None and not found:
        reason = NOTHING_LEARNED if np.isfinite(floor) and rows else "there is no reference to set a threshold by"
    elif threshold is None:
        threshold = floor + SHARE * (middle(best) - floor)
    highest = max(rows, key=lambda other: (middle(rows[other]), other == name), default=name)
    top = middle(rows.get(highest, np.zeros(0)))
    return Headroom(floor, middle(best), name, found, threshold, reason, top, highest)


def learned(returns: Float[np.ndarray, " seed"], random: Float[np.ndarray, " other"]) -> bool:
    """Returns whether something was learned: the IQM lies above the random policy's by more than that one's spread.

    `random` are the random policy's returns, one for each seed. Their spread is their standard deviation; a single
    seed has none. Seeds that failed (NaN) are left out, and nothing is learned where none is left.
    """
    ours, floor = middle(returns), middle(random)
    seeds = random[np.isfinite(random)]
    return bool(ours > floor + (float(seeds.std(ddof=1)) if seeds.size > 1 else 0.0))


def middle(returns: Float[np.ndarray, " seed"]) -> float:
    """Returns the IQM of those that are numbers; NaN where none is."""
    good = returns[np.isfinite(returns)]
    return float(iqm(good)) if good.size else float("nan")
