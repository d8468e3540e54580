"""Meta-World's tasks by name (Yu et al. 2019, arXiv:1910.10897): an arm, and one of 50 goals in each episode."""

import functools
from typing import Any

import gymnasium
import metaworld
import numpy as np


class MetaWorld(gymnasium.Wrapper):
    """One of its tasks, with the 50 goals of its MT1 benchmark that `seed` draws. The goal is observed.

    Meta-World's own wrapper draws an episode's goal before it takes that episode's seed, and draws new goals for each
    env that is made. Here the same seed gives the same episode.
    """

    def __init__(self, name: str, seed: int = 0):
        benchmark = _benchmark(name, seed)
        super().__init__(benchmark.train_classes[name]())
        self._goals = benchmark.train_tasks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        goal = np.random.default_rng(seed).integers(len(self._goals))
        inner: Any = self.unwrapped
        inner.set_task(self._goals[goal])
        return super().reset(seed=seed, options=options)


@functools.cache
def _benchmark(name: str, seed: int) -> metaworld.MT1:
    return metaworld.MT1(name, seed=seed)
