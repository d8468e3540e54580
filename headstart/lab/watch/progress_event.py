"""What a watcher of a training or a study is told."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class News:
    """How far one stage of one row is, and how it does."""

    row: str
    stage: str  # "source" or "target"
    steps: np.ndarray  # environment steps taken [seed]
    of: float  # steps that the stage will take for each seed
    returns: np.ndarray  # the last that is known [seed]; NaN where there is none
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of learning since the last news, each [seed]
    seeds: tuple[int, ...] | None = None  # None: all that the watcher was told of at first


Watch = Callable[[News], None]


class WatcherError(Exception):
    """The watcher broke (its own error is the cause): nothing that is being learned is to blame."""


def guarded(watch: Watch) -> Watch:
    """-> the watcher, whose errors are told from those of what it watches."""

    def tell(news: News) -> None:
        try:
            watch(news)
        except Exception as error:
            raise WatcherError(f"The watcher broke at {news.row}, {news.stage}: {error!r}.") from error

    return tell


def both(first: Watch, second: Watch) -> Watch:
    """-> one watcher that tells two."""

    def tell(news: News) -> None:
        first(news)
        second(news)

    return tell


def silent(news: News) -> None:
    """The watcher that says nothing."""
