"""What the source domain taught: learned once for all rows of a study that learn the same there, and kept on disk."""

import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from headstart.core.stages import at_heart, learn_source
from headstart.core.types import Method, Task, TrainState, spec
from headstart.lab.cells import Ledger, of_seed, size
from headstart.lab.checkpoint import load, save
from headstart.lab.files import read_json, write_json
from headstart.lab.news import News, Watch
from headstart.lab.recipe import Trained
from headstart.methods import describe
from headstart.protocol import transfer
from headstart.tasks.host import failures
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
    """Where there is something to learn before the target."""

    tasks: Task  # stacked
    text: str
    names: tuple[str, ...]  # the tasks that a context names


def learn(
    out: pathlib.Path, row: str, method: Method, of: Domain, steps: int, seeds: Sequence[int], watch: Watch
) -> Source:
    """-> what the method learns there in so many steps; taken from `out` where it is there.

    All seeds are learned together: each comes to the same numbers, whatever part of them a kill left behind.
    """
    if (there := learned(out, method, of, seeds)) is not None:
        return there
    heart = at_heart(method, spec(of.tasks))
    _train(_folders(out, heart, of, seeds), row, heart, of, steps, watch)
    done = learned(out, method, of, seeds)
    assert done is not None
    return done


def learned(out: pathlib.Path, method: Method, of: Domain, seeds: Sequence[int]) -> Source | None:
    """-> what the method learned there, taken from `out`; None where it is not all there."""
    folders = _folders(out, at_heart(method, spec(of.tasks)), of, seeds)
    if not all((folder / "curve.json").exists() for folder in folders.values()):
        return None
    curves = {seed: read_json(folder / "curve.json") for seed, folder in folders.items()}
    held = {seed: load(folders[seed]).state for seed, curve in curves.items() if curve["finite"]}
    if not held:
        return Source(of.text, None, curves)
    anyone = next(iter(held.values()))  # so that as many seeds run on, whoever was lost
    return Source(of.text, jax.tree.map(lambda *x: np.concatenate(x), *(held.get(s, anyone) for s in seeds)), curves)


def _folders(out: pathlib.Path, heart: Method, of: Domain, seeds: Sequence[int]) -> dict[int, pathlib.Path]:
    """-> where each seed's knowledge is, or will be."""
    slug = hashlib.sha256(json.dumps([describe(heart), of.text]).encode()).hexdigest()[:8]
    return {seed: out / "sources" / f"{type(heart).__name__.lower()}-{slug}" / f"seed-{seed}" for seed in seeds}


def _train(folders: dict[int, pathlib.Path], row: str, method: Method, of: Domain, steps: int, watch: Watch) -> None:
    """Learns, and writes the folder of each seed that has none yet.

    `curve.json` is written last, and alone where learning or the env went wrong.
    """
    tasks = of.tasks
    failures(tasks.env)
    began, history, point = time.monotonic(), [], None
    for point in learn_source(method, tasks, steps, transfer.keys(list(folders)).source):
        returns = np.asarray(point.metrics["return"])
        history.append((np.asarray(point.steps), returns))
        watch(News(row, "source", np.asarray(point.steps), steps, returns, point.metrics))
    assert point is not None
    taken, updates = np.asarray(point.steps), np.asarray(point.gradient_steps)
    fine, seconds = transfer.finite(point.knowledge), (time.monotonic() - began) / len(folders)
    failed = failures(tasks.env)
    fine[list(failed)] = False
    for i, (seed, folder) in enumerate(folders.items()):
        if (folder / "curve.json").exists():
            continue
        curve = {
            "steps": [float(steps[i]) for steps, _ in history],
            "returns": [float(returns[i]) for _, returns in history],
            "gradient_steps": float(updates[i]),
            "seconds": seconds,
            "finite": bool(fine[i]),
            "failed": failed.get(i) or (None if fine[i] else LOST),
        }
        if fine[i]:
            state = of_seed(point.state, i)
            budget = {"task": of.text, "steps": steps}
            who = (of.text, int(taken[i]), seed, int(updates[i]), of.names, interval(tasks), (budget,))
            save(Trained(method, spec(tasks), state, *who), folder)
        write_json(folder / "curve.json", curve)
