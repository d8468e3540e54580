"""Descriptive statistics over few seeds: interquartile means, bootstrap intervals, probabilities of improvement.

After Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv:2108.13264).
Seeds whose score is not finite (failed cells) are left out and counted. These intervals are descriptive:
percentile intervals of few seeds are too narrow (of normal scores, a 95 % interval of the IQM
holds the truth 75 % of the time with 3 seeds, 91 % with 5, and 94 % with 10). `verdicts` has the tests.

SciPy is imported where it is used, so that `import headstart` does not wait for it.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from headstart.core.errors import InputError

Statistic = Callable[[np.ndarray, int], np.ndarray]  # (x, axis to reduce) -> one number for each row
MAX_ENUMERATED = 6  # up to this many seeds, the bootstrap enumerates all resamples (6 ** 6 = 46 656)


class Interval(NamedTuple):
    """A statistic over seeds with its interval."""

    iqm: float  # the statistic, by default an IQM; NaN without finite seeds
    low: float
    high: float
    seeds: int | None = None  # number of finite scores; None: unknown
    left_out: int = 0  # scores that were not finite


def iqm(x: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
    """Returns the interquartile mean: the mean without a quarter of the values (rounded down) at each end of `axis`.

    It is the mean of the middle two of four values, of the middle three of five, and of all of three or fewer. A NaN
    makes it NaN.
    """
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(x, 0.25, axis=axis))


def bootstrap(
    scores: Float[np.ndarray, " seed"],
    statistic: Statistic = iqm,
    reps: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the statistic of the scores with its percentile bootstrap interval.

    Up to 6 scores, the interval is that of all resamples; beyond, of `reps` that are drawn. One seed has no spread: its
    interval has no width. Raises InputError where `reps` or `confidence` make no sense.
    """
    _check(reps, confidence)
    finite = scores[np.isfinite(scores)]
    left_out = scores.size - finite.size
    if not finite.size:
        return Interval(np.nan, np.nan, np.nan, 0, left_out)
    value = float(statistic(finite[None], 1)[0])
    if finite.size <= MAX_ENUMERATED:
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(
            statistic(finite[_resamples(finite.size)], 1), [tail, 1.0 - tail], method="inverted_cdf"
        )
    else:
        low, high = _percentile_interval((finite,), statistic, reps, confidence, seed)
    return Interval(value, float(low), float(high), finite.size, left_out)


def paired_difference(
    a: Float[np.ndarray, " seed"],
    b: Float[np.ndarray, " seed"],
    statistic: Statistic = iqm,
    reps: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the IQM (or another statistic) of `a - b`, with the interval that resampling the pairs gives.

    Entry i of both is the same seed. A pair of which either is not finite is left out.
    """
    return bootstrap(a - b, statistic, reps, confidence, seed)


def probability_of_improvement(
    x: Float[np.ndarray, " seed"],
    y: Float[np.ndarray, " other"],
    reps: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns P(X > Y) + P(X = Y) / 2 of a run of each drawn by chance (section 4.3 of the paper).

    The seeds of both are resampled, each on its own. The value is in the field `iqm`.
    """
    _check(reps, confidence)
    a, b = x[np.isfinite(x)], y[np.isfinite(y)]
    left_out = x.size + y.size - a.size - b.size
    if not (a.size and b.size):
        return Interval(np.nan, np.nan, np.nan, 0, left_out)
    value = float(_wins(a, b, -1))
    fewest = min(a.size, b.size)
    low, high = (value, value) if fewest == 1 else _percentile_interval((a, b), _wins, reps, confidence, seed)
    return Interval(value, low, high, fewest, left_out)


def _check(reps: int, confidence: float) -> None:
    if reps < 1 or not 0.0 < confidence < 1.0:
        raise InputError(f"A bootstrap needs reps >= 1 and 0 < confidence < 1; got {reps} and {confidence}.")


@functools.cache
def _resamples(n: int) -> Int[np.ndarray, "resample n"]:
    """Returns every way to draw n of n seeds with replacement."""
    return np.array(list(itertools.product(range(n), repeat=n)))


def _percentile_interval(
    samples: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], reps: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Returns the ends of the percentile interval of `statistic` over drawn resamples of each sample."""
    from scipy import stats

    options = {"n_resamples": reps, "confidence_level": confidence, "rng": np.random.default_rng(seed)}
    result = stats.bootstrap(samples, lambda *x, axis: statistic(*x, axis), method="percentile", axis=-1, **options)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _wins(
    a: Float[np.ndarray, "*rep seed"], b: Float[np.ndarray, "*rep other"], axis: int
) -> Float[np.ndarray, "*rep"]:
    """Returns the share of all pairs in which `a` is above `b`; ties count half."""
    return np.asarray(((np.sign(a[..., :, None] - b[..., None, :]) + 1.0) / 2.0).mean(axis=(-2, -1)))
