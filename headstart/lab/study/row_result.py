"""The result of running a row: the cell, cost and trained policy of each seed."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from headstart.lab.checkpoint.trained import Trained
from headstart.lab.study import study_folder
from headstart.lab.study.source_training import SourceResult
from headstart.lab.study.study_folder import Ledger
from headstart.lab.study.study_tasks import StudyTasks
from headstart.methods import Entry
from headstart.protocol import transfer
from headstart.protocol.prior import Training
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.registry import interval

NOT_FINITE = "the training in the target diverged: its parameters are no longer finite"


class RowResult(NamedTuple):
    """The result of a row for a group of seeds. It is undefined for seeds that failed in the source."""

    seeds: tuple[int, ...]
    source: SourceResult | None
    curve: transfer.Curve | None  # None if all seeds failed in the source
    last: transfer.Evaluation | None
    ranges: dict[str, np.ndarray]  # 0-shot returns [seed] on parts of the ensemble
    failed: dict[int, str]  # error of the env, by index in `seeds`
    seconds: float  # of each seed in the target

    def cell(self, seed: int, adapts: bool) -> dict[str, Any]:
        """Returns the cell of one seed as data."""
        assert self.curve is not None
        i = self.seeds.index(seed)
        return {
            "steps": self.curve.steps[i],
            "episodes": self.curve.episodes[i],
            "returns": self.curve.returns[i],
            "shots": {n: values[i] for n, values in self.curve.shots.items()},
            "generalisation": {name: values[i] for name, values in self.ranges.items()},
            "ledger": dataclasses.asdict(self.ledger(seed, adapts)),
            "failed": self.failed.get(i) or (None if np.isfinite(self.curve.returns[i]).all() else NOT_FINITE),
        }

    def ledger(self, seed: int, adapts: bool) -> Ledger:
        """Returns the cost of one seed in both domains."""
        assert self.curve is not None
        assert self.last is not None
        i = self.seeds.index(seed)
        source_ledger = Ledger() if self.source is None else self.source.ledger(seed)
        return Ledger(
            source_ledger.source_steps + float(self.last.source_steps[i]),
            float(self.curve.steps[i, -1]) if adapts else 0.0,
            source_ledger.gradient_steps + float(self.last.gradient_steps[i]),
            study_folder.num_parameters(self.last.state),
            source_ledger.seconds + self.seconds,
        )

    def trained(
        self, seed: int, entry: Entry, stages: tuple[Training, ...], config: StudyConfig, study_tasks: StudyTasks
    ) -> Trained:
        """Returns the trained policy of one seed."""
        assert self.last is not None
        budgets = []
        if self.source is not None:
            budgets.append({"task": self.source.task, "steps": config.source_steps})
        if entry.adapts:
            allowed = {"steps": target_steps(entry, config), "shots": list(config.shots)}
            budgets.append({"task": config.target, **allowed})
        trained_on = ", then ".join(budget["task"] for budget in budgets) or "nothing"
        ledger = self.ledger(seed, entry.adapts)
        steps, updates = int(ledger.source_steps + ledger.target_steps), int(ledger.gradient_steps)
        state = study_folder.select_seed(self.last.state, self.seeds.index(seed))
        *history, last = stages
        return Trained(
            last.method,
            last.spec,
            state,
            trained_on,
            steps,
            seed,
            gradient_steps=updates,
            sources=study_tasks.source_names,
            dt=interval(study_tasks.target),
            budgets=tuple(budgets),
            history=tuple(history),
            adapted=last.target,
        )


def target_steps(entry: Entry, config: StudyConfig) -> int:
    """Returns the budget of a row in the target, in environment steps."""
    return (config.target_steps if entry.adapts else 0) + (config.source_steps if entry.role == "oracle" else 0)
