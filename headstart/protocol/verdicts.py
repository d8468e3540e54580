"""Tests differences between rows: paired t tests with Holm's correction for multiple comparisons.

A *family* is all verdicts that one table prints. Holm's correction bounds the chance that at least one of them is
wrong where no difference exists at all: 5 % of families, whatever their size (Holm 1979, Scandinavian Journal of
Statistics 6). The t interval is exact for normal differences of pairs and conservative for symmetric ones with heavy
tails; `benchmarks/error_rates.py` measures it, and shows where it is neither.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from headstart.protocol.statistics import iqm

Verdict = Literal["positive", "negative", "none"]
Name = TypeVar("Name")
Scores = Float[np.ndarray, " seed"]

ALPHA = 0.05  # family-wise error rate
MIN_PAIRS = 5  # pairs of seeds that a verdict needs
ROUNDING = 1e-6  # relative; returns are summed in float32, so smaller differences are rounding


class Tests(NamedTuple):
    """The tests of a family of differences; every array is [*batch, row]."""

    mean: np.ndarray
    low: np.ndarray  # of the t interval at confidence 1 - level: it excludes 0 exactly if p_holm <= alpha
    high: np.ndarray
    pairs: np.ndarray  # number of finite pairs
    p: np.ndarray  # of a single two-sided test; NaN below MIN_PAIRS pairs
    p_holm: np.ndarray  # adjusted by Holm's method for the family
    level: np.ndarray  # significance level of the row in Holm's method


class Difference(NamedTuple):
    """The difference of one row from another, over the same seeds, as one member of a family."""

    mean: float
    low: float
    high: float
    iqm: float  # descriptive; the test is of the mean
    p: float
    p_holm: float
    confidence: float  # of the interval: 1 - the level at which Holm's method compares this row
    pairs: int  # seeds that both rows finished
    family: int  # tests in the family, this one among them
    verdict: Verdict | None  # None: no verdict
    no_verdict: str | None  # why not, in one sentence


def paired_t_tests(differences: Float[np.ndarray, "*batch row seed"], alpha: float = ALPHA) -> Tests:
    """Returns the paired t tests of each row's differences from its control, corrected over the axis `row`.

    A NaN is a pair of which one run failed. Rows with fewer than 5 pairs are not tested and not in the family; their
    interval is at 1 - alpha.
    """
    from scipy import stats

    known = np.isfinite(differences)
    pairs = known.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, differences, 0.0).sum(-1) / pairs
        squares = np.where(known, differences - mean[..., None], 0.0) ** 2
        error = np.sqrt(squares.sum(-1) / (pairs - 1) / pairs)
        t = np.where(mean == 0.0, 0.0, mean / error)  # all scores equal: p is 1
    p = np.where(pairs >= MIN_PAIRS, 2.0 * stats.t.sf(np.abs(t), np.maximum(pairs - 1, 1)), np.nan)
    p_holm, level = holm(p, alpha)
    half_width = stats.t.isf(level / 2.0, np.maximum(pairs - 1, 1)) * np.where(pairs > 1, error, np.nan)
    return Tests(mean, mean - half_width, mean + half_width, pairs, p, p_holm, level)


def holm(
    p: Float[np.ndarray, "*batch row"], alpha: float = ALPHA
) -> tuple[Float[np.ndarray, "*batch row"], Float[np.ndarray, "*batch row"]]:
    """Returns p values adjusted by Holm's step-down method, and the level at which the method compares each row.

    The smallest of m p values is compared with alpha / m, the next with alpha / (m - 1), and so on up to the first
    that is not below its level. All rows from there on are compared with that last level. NaN is not in the family.
    """
    family = np.isfinite(p).sum(-1, keepdims=True)
    order = np.argsort(p, axis=-1)  # NaN comes last
    remaining = np.maximum(family - np.arange(p.shape[-1]), 1)  # rows that are not decided yet
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * remaining, axis=-1)
    num_undecided = family - (stepped <= alpha).sum(-1, keepdims=True)
    levels = alpha / np.where(stepped <= alpha, remaining, np.maximum(num_undecided, 1))
    levels = np.where(np.isnan(stepped), alpha, levels)
    inverse_order = np.argsort(order, axis=-1)
    return np.take_along_axis(np.minimum(stepped, 1.0), inverse_order, -1), np.take_along_axis(
        levels, inverse_order, -1
    )


def compare_family(pairs: Mapping[Name, tuple[Scores, Scores]], alpha: float = ALPHA) -> dict[Name, Difference]:
    """Returns the difference of each row from its control, all of them one family.

    Entry i of a row's scores and of its control's is the same seed; a score that is not finite is a seed that failed.
    A failed seed counts as the worst return there is: no verdict is given in favour of a row that has one. Pairs in
    which a run failed are left out of the test.
    """
    if not pairs:
        return {}
    finite = lambda scores: np.where(np.isfinite(scores), scores, np.nan)
    rows = [(equalize_rounding(finite(scores), finite(control)), finite(control)) for scores, control in pairs.values()]
    tests = paired_t_tests(np.array([a - b for a, b in rows]), alpha)
    family = int(np.isfinite(tests.p).sum())
    differences = {}
    for i, (name, (scores, control)) in enumerate(zip(pairs, rows, strict=True)):
        values = {key: value[i].item() for key, value in tests._asdict().items()}
        known = (scores - control)[np.isfinite(scores - control)]
        failed = int(np.isnan(scores).sum()), int(np.isnan(control).sum())
        decided, why = _verdict(values, failed, alpha)
        values |= {"iqm": float(iqm(known)) if known.size else np.nan, "confidence": 1.0 - values.pop("level")}
        differences[name] = Difference(**values, family=family, verdict=decided, no_verdict=why)
    return differences


def equalize_rounding(scores: Scores, control: Scores) -> Scores:
    """Returns a row's scores, with the control's in place of those that differ from it by rounding alone.

    A t test would find the same rounding error in every seed significant.
    """
    return np.where(np.isclose(scores, control, rtol=ROUNDING, atol=0.0), control, scores)


def difference_data(difference: Difference) -> dict[str, Any]:
    """Returns the difference without its verdict, as JSON can hold it: None for NaN."""
    values = difference._asdict()
    return {
        key: None if isinstance(value, float) and np.isnan(value) else value
        for key, value in values.items()
        if key not in ("verdict", "no_verdict")
    }


def _verdict(values: Mapping[str, Any], failed: tuple[int, int], alpha: float) -> tuple[Verdict | None, str | None]:
    if values["pairs"] < MIN_PAIRS:
        failures = f" ({failed[0]} of its seeds failed, {failed[1]} of its control's)" if any(failed) else ""
        return (
            None,
            f"A verdict takes at least {MIN_PAIRS} seeds that both rows finished; here are "
            f"{values['pairs']}{failures}.",
        )
    if values["p_holm"] > alpha:
        return "none", None
    positive = values["mean"] > 0.0
    if failed[0 if positive else 1]:
        failed_side, side = ("its", "above") if positive else ("its control's", "below")
        rest = f"on the other {values['pairs']} it is {side}"
        return None, f"{failed[0 if positive else 1]} of {failed_side} seeds failed, which counts against it; {rest}."
    return ("positive" if positive else "negative"), None
