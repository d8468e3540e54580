"""What the source domain taught: learned once for all rows of a study that learn the same there, and kept on disk."""

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
from headstart.lab.checkpoint.result_folder import keep
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.study import cell_config
from headstart.lab.study.cell_store import Shelf, digits
from headstart.lab.study.jobs import HeldError
from headstart.lab.study.study_folder import Ledger, of_seed, size
from headstart.lab.study.study_tasks import Domains
from headstart.lab.watch.progress_event import News, Watch
from headstart.protocol import transfer
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.registry import interval

LOST = "learning in the source went wrong: its numbers are no longer finite"


@dataclasses.dataclass(frozen=True)
class Source:
    """What every seed learned in the source domain."""

    task: str
    state: TrainState | None  # of all seeds; None where all were lost
    curves: dict[int, dict[str, Any]]  # of each seed: steps, returns, gradient_steps, seconds, finite, failed

    @property
    def lost(self) -> list[int]:
        """-> the seeds whose numbers are no longer finite. In `state`, another stands in their place."""
        return [seed for seed, curve in self.curves.items() if not curve["finite"]]

    def ledger(self, seed: int) -> Ledger:
        assert self.state is not None
        curve = self.curves[seed]
        return Ledger(curve["steps"][-1], 0.0, curve["gradient_steps"], size(self.state), curve["seconds"])


class Domain(NamedTuple):
    """Where there is something to learn before the target, and in how many steps."""

    tasks: Task  # stacked
    text: str
    names: tuple[str, ...]  # the tasks that a context names
    steps: int
    physics: str


def domain(domains: Domains, question: StudyConfig, ensemble: bool = False) -> Domain:
    """Returns the study's source, or the ensemble of it."""
    if ensemble and domains.ensemble_tasks is not None and question.ensemble is not None:
        tasks, text = domains.ensemble_tasks, question.ensemble
    else:
        tasks, text = domains.source_tasks, question.source
    return Domain(tasks, text, domains.names, question.source_steps, question.physics)


@reraising()
def learn(
    out: pathlib.Path, row: str, method: Method, of: Domain, seeds: Sequence[int], watch: Watch, since: float
) -> Source:
    """Returns what the method learns there; taken from `out` where it is there, and did not fail before `since`.

    Raises HeldError where another process is learning it.
    """
    shelf = shelf_of(out, method, of)
    if shelf.missing(seeds, since):
        with locked(shelf.folder) as mine:
            if not mine:
                raise HeldError(shelf.folder)
            for group, missing in shelf.groups(seeds, since):
                _train(shelf, row, base_method(method, spec(of.tasks)), of, group, missing, watch)
    done = learned(out, method, of, seeds)
    assert done is not None
    return done


def learned(out: pathlib.Path, method: Method, of: Domain, seeds: Sequence[int]) -> Source | None:
    """Returns what the method learned there, taken from `out`; None where it is not all there."""
    shelf = shelf_of(out, method, of)
    records = {seed: shelf.record(seed) for seed in seeds}
    curves = {seed: record for seed, record in records.items() if record is not None}
    if len(curves) < len(records):
        return None
    held = {seed: shelf.load(seed).state for seed, curve in curves.items() if curve["finite"]}
    if not held:
        return Source(of.text, None, curves)
    anyone = next(iter(held.values()))  # so that as many seeds run on, whoever was lost
    return Source(of.text, jax.tree.map(lambda *x: np.concatenate(x), *(held.get(s, anyone) for s in seeds)), curves)


def shelf_of(out: pathlib.Path, method: Method, of: Domain) -> Shelf:
    """Returns where each seed's knowledge is, or will be."""
    heart = base_method(method, spec(of.tasks))
    question = cell_config.of_source(heart, of.text, of.names, of.steps, of.physics)
    return Shelf(out / "sources" / f"{type(heart).__name__.lower()}-{digits(question)}", question)


def _train(
    shelf: Shelf, row: str, method: Method, of: Domain, group: Sequence[int], missing: Sequence[int], watch: Watch
) -> None:
    """Learns with the seeds of a group, and writes those that are missing; without knowledge where one went wrong."""
    tasks, began, history, point = of.tasks, time.monotonic(), [], None
    tasks.env.pop_failures()
    for point in learn_source(method, tasks, of.steps, transfer.keys(group).source):
        returns = np.asarray(point.metrics["return"])
        history.append((np.asarray(point.steps), returns))
        watch(News(row, "source", np.asarray(point.steps), of.steps, returns, point.metrics, tuple(group)))
    assert point is not None
    taken, updates = np.asarray(point.steps), np.asarray(point.gradient_steps)
    fine, seconds = transfer.finite(point.params), (time.monotonic() - began) / len(group)
    failed = tasks.env.pop_failures()
    fine[list(failed)] = False
    found = {}
    for seed in missing:
        i = group.index(seed)
        curve = {
            "steps": [float(steps[i]) for steps, _ in history],
            "returns": [float(returns[i]) for _, returns in history],
            "gradient_steps": float(updates[i]),
            "seconds": seconds,
            "finite": bool(fine[i]),
            "failed": failed.get(i) or (None if fine[i] else LOST),
        }
        trained = None
        if fine[i]:
            budget = {"task": of.text, "steps": of.steps}
            who = (of.text, int(taken[i]), seed, int(updates[i]), of.names, interval(tasks), (budget,))
            trained = Trained(method, spec(tasks), of_seed(point.state, i), *who)
        found[seed] = curve, trained

    keep(lambda folder: Shelf(folder, shelf.question).write_all(group, found), shelf.folder)
