"""Describes what a transfer copied into the target's spaces, what is new there, and what was dropped."""

from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from headstart.core.space_matching import ArrayTransfer, Plan, SpaceMatch
from headstart.core.types import Params
from headstart.nets.running_statistics import NEGLIGIBLE, RunningMeanStd

MAX_NAMED = 8  # components that a sentence lists


class ChangedConstant(NamedTuple):
    """An observed component that was constant in the source and differs or varies in the target."""

    name: str
    source: float
    target: float  # its mean
    spread: float  # its standard deviation there

    def __str__(self) -> str:
        varies = f" ± {self.spread:.3g}" if self.spread else ""
        return f"{self.name} ({self.source:.6g} there, {self.target:.6g}{varies} here)"


def changed_constants(plan: Plan, source: Params, target: Params) -> tuple[ChangedConstant, ...]:
    """Returns the observed components that were constant in the source only, by the observation statistics [seed].

    Empty if observations are not normalized, and if the method freezes the source's statistics.
    """
    source_statistics, target_statistics = source.get("normalizer"), target.get("normalizer")
    if not isinstance(source_statistics, RunningMeanStd) or not isinstance(target_statistics, RunningMeanStd):
        return ()
    changed = []
    for name, i, j in zip(plan.observation.copied, *plan.observation.places, strict=True):
        source_mean, target_mean = float(source_statistics.mean[0, i]), float(target_statistics.mean[0, j])
        varies = not bool(target_statistics.constant[0, j])
        differs = varies or abs(target_mean - source_mean) > NEGLIGIBLE * max(abs(source_mean), 1.0)
        if bool(source_statistics.constant[0, i]) and differs:
            spread = float(np.sqrt(target_statistics.variance[0, j])) if varies else 0.0
            changed.append(ChangedConstant(name, source_mean, target_mean, spread))
    return tuple(changed)


class TransferSummary(NamedTuple):
    """What a transfer copied into the target."""

    plan: Plan
    arrays: dict[str, ArrayTransfer]  # by name; counts of numbers
    optimizer: bool  # whether its state was copied
    changed_constants: tuple[ChangedConstant, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """The summary as data."""
        spaces = {"observation": self.plan.observation, "action": self.plan.action}
        return {
            **{what: {"copied": m.copied, "new": m.new, "dropped": m.dropped} for what, m in spaces.items()},
            "arrays": {name: counts._asdict() for name, counts in self.arrays.items()},
            "optimizer": "kept" if self.optimizer else "fresh",
            "constant_in_source": [constant._asdict() for constant in self.changed_constants],
        }

    def lines(self) -> list[str]:
        """Returns the summary as lines of text."""
        copied, new, dropped = (sum(x) for x in zip(*self.arrays.values(), strict=True))
        lines = [f"parameters: {copied} numbers copied, {new} new, {dropped} dropped"]
        if not self.plan.same:
            lines += [_match_line("observation", self.plan.observation), _match_line("action", self.plan.action)]
        lines += [f"optimizer: {'its state was copied' if self.optimizer else 'fresh'}"]
        if self.changed_constants:
            shown = map(str, self.changed_constants[:MAX_NAMED])
            more = (
                f", and {len(self.changed_constants) - MAX_NAMED} more"
                if len(self.changed_constants) > MAX_NAMED
                else ""
            )
            lines += [f"constant in the source but not in the target: {', '.join(shown)}{more}"]
        return lines

    def table(self) -> Table:
        """Returns a table of the arrays that were not copied completely."""
        table = Table("array", "copied", "new", "dropped", title="arrays that were not copied completely")
        for name, counts in self.arrays.items():
            if counts.new or counts.dropped:
                table.add_row(name, *map(str, counts))
        return table


def _match_line(what: str, match: SpaceMatch) -> str:
    if match.same:
        return f"{what}: the same"
    parts = (("copied", match.copied), ("new", match.new), ("dropped", match.dropped))
    return f"{what}: " + "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
