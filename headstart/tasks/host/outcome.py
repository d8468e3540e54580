"""The result of a call of several live envs."""

import math
from typing import Any, NamedTuple

import numpy as np


class Outcome(NamedTuple):
    """The result of each row [row ...]."""

    handle: np.ndarray
    calls: np.ndarray
    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


def empty_outcome(size: int, rows: int) -> Outcome:
    """Returns a result without values: NaN everywhere. `size` is the length of an observation."""
    no = np.zeros(rows, bool)
    obs, reward = np.full((rows, size), np.nan, np.float32), np.full(rows, np.nan, np.float32)
    return Outcome(np.zeros(rows, np.int32), np.zeros(rows, np.int32), obs, reward, no, no.copy())


def as_reward(reward: Any) -> float:
    """Returns a step's reward as a float. Raises ValueError if it is not one finite number."""
    if type(reward) is float and math.isfinite(reward):
        return reward
    value = np.asarray(reward, np.float64)
    if value.shape != ():
        raise ValueError(f"its reward has shape {value.shape} instead of being one number")
    if not np.isfinite(value):
        raise ValueError(f"its reward is {reward}")
    return float(value)
