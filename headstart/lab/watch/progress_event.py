"""The events that a training or a study reports to its callback."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class ProgressEvent:
    """The progress of one stage of one row."""

    row: str
    stage: str  # "source" or "target"
    steps: np.ndarray  # environment steps taken [seed]
    total_steps: float  # steps that the stage will take for each seed
    returns: np.ndarray  # latest [seed]; NaN if none is known
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # means since the last event, each [seed]
    seeds: tuple[int, ...] | None = None  # None: all seeds of the study


ProgressCallback = Callable[[ProgressEvent], None]


class CallbackError(Exception):
    """The callback raised an error, which is the cause. The training is not at fault."""


def guard_callback(watch: ProgressCallback) -> ProgressCallback:
    """Returns a callback that raises CallbackError if `watch` raises an error."""

    def callback(event: ProgressEvent) -> None:
        try:
            watch(event)
        except Exception as error:
            raise CallbackError(f"The callback `watch` failed at {event.row}, {event.stage}: {error!r}.") from error

    return callback


def call_both(first: ProgressCallback, second: ProgressCallback) -> ProgressCallback:
    """Returns a callback that calls both."""

    def callback(event: ProgressEvent) -> None:
        first(event)
        second(event)

    return callback


def ignore(event: ProgressEvent) -> None:
    """Does nothing; the default callback."""
