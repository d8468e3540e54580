"""What came of a row of a study: the cell of each seed, what it cost, and what it knows."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from headstart.lab.checkpoint.trained import Trained
from headstart.lab.study import study_folder
from headstart.lab.study.source_training import Source
from headstart.lab.study.study_folder import Ledger
from headstart.lab.study.study_tasks import Domains
from headstart.methods import Entry
from headstart.protocol import transfer
from headstart.protocol.prior import Training
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.registry import interval

LOST = "learning in the target went wrong: its numbers are no longer finite"


class Outcome(NamedTuple):
    """What came of a row, for all its seeds; for those that were lost in the source it means nothing."""

    seeds: tuple[int, ...]
    source: Source | None
    curve: transfer.Curve | None  # None where all seeds were lost in the source
    last: transfer.Evaluation | None
    ranges: dict[str, np.ndarray]  # 0-shot returns [seed] on parts of the ensemble
    failed: dict[int, str]  # what the env said where it broke, by the seed's place in `seeds`
    seconds: float  # of each seed, in the target

    def cell(self, seed: int, adapts: bool) -> dict[str, Any]:
        """-> the cell of one seed as plain data."""
        assert self.curve is not None
        i = self.seeds.index(seed)
        return {
            "steps": self.curve.steps[i],
            "episodes": self.curve.episodes[i],
            "returns": self.curve.returns[i],
            "shots": {n: values[i] for n, values in self.curve.shots.items()},
            "generalisation": {name: values[i] for name, values in self.ranges.items()},
            "ledger": dataclasses.asdict(self.ledger(seed, adapts)),
            "failed": self.failed.get(i) or (None if np.isfinite(self.curve.returns[i]).all() else LOST),
        }

    def ledger(self, seed: int, adapts: bool) -> Ledger:
        """-> what one seed cost, in both domains."""
        assert self.curve is not None
        assert self.last is not None
        i = self.seeds.index(seed)
        spent = Ledger() if self.source is None else self.source.ledger(seed)
        return Ledger(
            spent.source_steps + float(self.last.source_steps[i]),
            float(self.curve.steps[i, -1]) if adapts else 0.0,
            spent.gradient_steps + float(self.last.gradient_steps[i]),
            study_folder.size(self.last.state),
            spent.seconds + self.seconds,
        )

    def trained(
        self, seed: int, entry: Entry, stages: tuple[Training, ...], question: StudyConfig, domains: Domains
    ) -> Trained:
        """-> what one seed knows in the end."""
        assert self.last is not None
        budgets = []
        if self.source is not None:
            budgets.append({"task": self.source.task, "steps": question.source_steps})
        if entry.adapts:
            allowed = {"steps": target_steps(entry, question), "shots": list(question.shots)}
            budgets.append({"task": question.target, **allowed})
        told_on = ", then ".join(budget["task"] for budget in budgets) or "nothing"
        spent = self.ledger(seed, entry.adapts)
        steps, updates = int(spent.source_steps + spent.target_steps), int(spent.gradient_steps)
        state = study_folder.of_seed(self.last.state, self.seeds.index(seed))
        *before, last = stages
        told = (told_on, steps, seed, updates, domains.names, interval(domains.target), tuple(budgets))
        return Trained(last.method, last.spec, state, *told, tuple(before), last.target)


def target_steps(entry: Entry, question: StudyConfig) -> int:
    """-> the environment steps that a row may spend in the target."""
    return (question.target_steps if entry.adapts else 0) + (question.source_steps if entry.role == "oracle" else 0)
