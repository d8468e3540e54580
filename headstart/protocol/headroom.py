"""Measures the headroom in the target: how far the best known return lies above that of the random policy.

Unless the user gives one, the threshold that counts as solved lies between the two.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from headstart.protocol.statistics import iqm

THRESHOLD_SHARE = 0.8  # the default threshold lies this far from the random return to the best one
NOTHING_LEARNED = "nothing was learned"
REFERENCES = ("oracle", "scratch")  # rows that define the best return; the first with a result


class Headroom(NamedTuple):
    """The random and the best return in the target, as IQMs over seeds; NaN without a result."""

    random: float
    best: float
    best_name: str
    is_learned: bool  # whether the best lies above random by more than the spread of random
    threshold: float | None
    no_threshold: str | None  # why there is no threshold
    highest: float = float("nan")  # of all rows
    highest_name: str = ""

    def data(self, source_policy: float) -> dict[str, Any] | None:
        """Returns the headroom as data; `share` is the part that the source policy has already (1: nothing to gain).

        The upper end is the highest row: an oracle that learned slowly is no upper bound.
        """
        if np.isnan([self.random, self.highest, source_policy]).any():
            return None
        gap = self.highest - self.random
        return {
            "source_policy": source_policy,
            "best": self.highest,
            "best_name": self.highest_name,
            "random": self.random,
            "learned": self.is_learned,
            "share": (source_policy - self.random) / gap if self.is_learned and gap > 0 else None,
        }


def headroom(ends: Mapping[str, Float[np.ndarray, " seed"]], threshold: float | None = None) -> Headroom:
    """Returns the headroom from the final returns of each row, including `random` and `oracle`.

    The best row is the oracle, or scratch without an oracle. If it learned nothing and another row did, the best row is
    that one.
    """
    random = ends.get("random", np.zeros(0))
    rows = {name: x for name, x in ends.items() if name != "random" and np.isfinite(x).any()}
    best_name = next((name for name in REFERENCES if name in rows), "")
    if not is_learned(rows.get(best_name, np.zeros(0)), random):
        others = [other for other, returns in rows.items() if is_learned(returns, random)]
        best_name = max(others, key=lambda other: finite_iqm(rows[other]), default=best_name)
    best = rows.get(best_name, np.zeros(0))
    learned, random_iqm, reason = is_learned(best, random), finite_iqm(random), None
    if threshold is None and not learned:
        reason = (
            NOTHING_LEARNED if np.isfinite(random_iqm) and rows else "there is no reference to derive a threshold from"
        )
    elif threshold is None:
        threshold = random_iqm + THRESHOLD_SHARE * (finite_iqm(best) - random_iqm)
    highest = max(rows, key=lambda other: (finite_iqm(rows[other]), other == best_name), default=best_name)
    highest_iqm = finite_iqm(rows.get(highest, np.zeros(0)))
    return Headroom(random_iqm, finite_iqm(best), best_name, learned, threshold, reason, highest_iqm, highest)


def is_learned(returns: Float[np.ndarray, " seed"], random: Float[np.ndarray, " other"]) -> bool:
    """Returns whether the IQM lies above that of the random policy by more than the spread of the random returns.

    `random` are the returns of the random policy by seed. Their spread is their standard deviation, which is 0 for one
    seed. Failed seeds (NaN) are ignored; without finite seeds, the result is False.
    """
    ours, random_iqm = finite_iqm(returns), finite_iqm(random)
    seeds = random[np.isfinite(random)]
    return bool(ours > random_iqm + (float(seeds.std(ddof=1)) if seeds.size > 1 else 0.0))


def finite_iqm(returns: Float[np.ndarray, " seed"]) -> float:
    """Returns the IQM of the finite values; NaN if there is none."""
    finite = returns[np.isfinite(returns)]
    return float(iqm(finite)) if finite.size else float("nan")
