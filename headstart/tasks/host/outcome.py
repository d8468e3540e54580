"""What a call of several live envs says."""

import math
from typing import Any, NamedTuple

import numpy as np


class Outcome(NamedTuple):
    """Where each row stands [row ...]."""

    handle: np.ndarray
    calls: np.ndarray
    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


def empty_outcome(size: int, rows: int) -> Outcome:
    """Returns an outcome that says nothing yet: NaN everywhere. `size`: numbers of an observation."""
    no = np.zeros(rows, bool)
    obs, reward = np.full((rows, size), np.nan, np.float32), np.full(rows, np.nan, np.float32)
    return Outcome(np.zeros(rows, np.int32), np.zeros(rows, np.int32), obs, reward, no, no.copy())


def as_reward(reward: Any) -> float:
    """Returns a step's reward as one number. Raises ValueError where it is none."""
    if type(reward) is float and math.isfinite(reward):
        return reward
    value = np.asarray(reward, np.float64)
    if value.shape != ():
        raise ValueError(f"its reward has shape {value.shape}, and is to be one number")
    if not np.isfinite(value):
        raise ValueError(f"its reward is {reward}")
    return float(value)
