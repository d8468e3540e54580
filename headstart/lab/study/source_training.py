"""Trains in the source domain. Rows with the same source training share it, and it is stored on disk."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from headstart.core.interrupts import reraising
from headstart.core.stages import base_method, learn_source
from headstart.core.types import Method, Task, TrainState, spec
from headstart.lab.checkpoint.locks import locked
from headstart.lab.checkpoint.result_folder import write_or_rescue
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.study import cell_config
from headstart.lab.study.cell_store import CellStore, config_digest
from headstart.lab.study.jobs import LockedError
from headstart.lab.study.study_folder import Ledger, num_parameters, select_seed
from headstart.lab.study.study_tasks import StudyTasks
from headstart.lab.watch.progress_event import ProgressCallback, ProgressEvent
from headstart.protocol import transfer
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.registry import interval

NOT_FINITE = "the training in the source diverged: its parameters are no longer finite"


@dataclasses.dataclass(frozen=True)
class SourceResult:
    """The source training of all seeds."""

    task: str
    state: TrainState | None  # of all seeds; None if all failed
    curves: dict[int, dict[str, Any]]  # of each seed: steps, returns, gradient_steps, seconds, finite, failed

    @property
    def failed_seeds(self) -> list[int]:
        """Returns the seeds that failed. `state` holds a copy of another seed in their place."""
        return [seed for seed, curve in self.curves.items() if not curve["finite"]]

    def ledger(self, seed: int) -> Ledger:
        assert self.state is not None
        curve = self.curves[seed]
        return Ledger(curve["steps"][-1], 0.0, curve["gradient_steps"], num_parameters(self.state), curve["seconds"])


class SourceTasks(NamedTuple):
    """The tasks and the budget of a source training."""

    tasks: Task  # stacked
    text: str
    names: tuple[str, ...]  # the tasks that the context names
    steps: int
    physics: str


def source_tasks(study_tasks: StudyTasks, config: StudyConfig, ensemble: bool = False) -> SourceTasks:
    """Returns the study's source tasks, or its ensemble."""
    if ensemble and study_tasks.ensemble_tasks is not None and config.ensemble is not None:
        tasks, text = study_tasks.ensemble_tasks, config.ensemble
    else:
        tasks, text = study_tasks.source_tasks, config.source
    return SourceTasks(tasks, text, study_tasks.source_names, config.source_steps, config.physics)


@reraising()
def train_source(
    out: pathlib.Path,
    row: str,
    method: Method,
    source: SourceTasks,
    seeds: Sequence[int],
    watch: ProgressCallback,
    since: float,
) -> SourceResult:
    """Returns the source training of a method: from `out` if it is there, and else trains it.

    Seeds that failed before the time `since` train again. Raises LockedError if another process trains it.
    """
    store = source_store(out, method, source)
    if store.missing(seeds, since):
        with locked(store.folder) as acquired:
            if not acquired:
                raise LockedError(store.folder)
            for group, missing in store.groups(seeds, since):
                _train(store, row, base_method(method, spec(source.tasks)), source, group, missing, watch)
    result = load_source(out, method, source, seeds)
    assert result is not None
    return result


def load_source(out: pathlib.Path, method: Method, source: SourceTasks, seeds: Sequence[int]) -> SourceResult | None:
    """Returns the source training from `out`; None if a seed is missing."""
    store = source_store(out, method, source)
    records = {seed: store.record(seed) for seed in seeds}
    curves = {seed: record for seed, record in records.items() if record is not None}
    if len(curves) < len(records):
        return None
    states = {seed: store.load(seed).state for seed, curve in curves.items() if curve["finite"]}
    if not states:
        return SourceResult(source.text, None, curves)
    filler = next(iter(states.values()))  # keeps the number of seeds
    return SourceResult(
        source.text, jax.tree.map(lambda *x: np.concatenate(x), *(states.get(s, filler) for s in seeds)), curves
    )


def source_store(out: pathlib.Path, method: Method, source: SourceTasks) -> CellStore:
    """Returns the store of the source training."""
    base = base_method(method, spec(source.tasks))
    config = cell_config.source_config(base, source.text, source.names, source.steps, source.physics)
    return CellStore(out / "sources" / f"{type(base).__name__.lower()}-{config_digest(config)}", config)


def _train(
    store: CellStore,
    row: str,
    method: Method,
    source: SourceTasks,
    group: Sequence[int],
    missing: Sequence[int],
    watch: ProgressCallback,
) -> None:
    """Trains the seeds of a group and writes those that are missing, without a checkpoint for failed seeds."""
    tasks, start_time, history, point = source.tasks, time.monotonic(), [], None
    tasks.env.pop_failures()
    for point in learn_source(method, tasks, source.steps, transfer.keys(group).source):
        returns = np.asarray(point.metrics["return"])
        history.append((np.asarray(point.steps), returns))
        watch(ProgressEvent(row, "source", np.asarray(point.steps), source.steps, returns, point.metrics, tuple(group)))
    assert point is not None
    steps_taken, updates = np.asarray(point.steps), np.asarray(point.gradient_steps)
    finite, seconds = transfer.finite(point.params), (time.monotonic() - start_time) / len(group)
    failed = tasks.env.pop_failures()
    finite[list(failed)] = False
    results, origin = {}, (source.names, interval(tasks), ({"task": source.text, "steps": source.steps},))
    for seed in missing:
        i = group.index(seed)
        curve = {
            "steps": [float(steps[i]) for steps, _ in history],
            "returns": [float(returns[i]) for _, returns in history],
            "gradient_steps": float(updates[i]),
            "seconds": seconds,
            "finite": bool(finite[i]),
            "failed": failed.get(i) or (None if finite[i] else NOT_FINITE),
        }
        trained = None
        if finite[i]:
            state, counts = select_seed(point.state, i), (int(steps_taken[i]), seed, int(updates[i]))
            trained = Trained(method, spec(tasks), state, source.text, *counts, *origin)
        results[seed] = curve, trained

    write_or_rescue(lambda folder: CellStore(folder, store.config).write_all(group, results), store.folder)
