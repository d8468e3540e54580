"""What there is to gain in the target: how far the best that is known lies above acting at random."""

import numpy as np
from jaxtyping import Float

from headstart.protocol.statistics import iqm


def learned(returns: Float[np.ndarray, " seed"], random: Float[np.ndarray, " other"]) -> bool:
    """Returns whether something was learned: the IQM lies above the random policy's by more than that one's spread.

    `random` are the random policy's returns, one for each seed. Their spread is their standard deviation; a single
    seed has none. Seeds that failed (NaN) are left out, and nothing is learned where none is left.
    """
    ours, floor = returns[np.isfinite(returns)], random[np.isfinite(random)]
    if not ours.size or not floor.size:
        return False
    spread = float(floor.std(ddof=1)) if floor.size > 1 else 0.0
    return bool(float(iqm(ours)) > float(iqm(floor)) + spread)
