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
    before, after = source.get("normalizer"), target.get("normalizer")
    if not isinstance(before, RunningMeanStd) or not isinstance(after, RunningMeanStd):
        return ()
    found = []
    for name, i, j in zip(plan.observation.copied, *plan.observation.places, strict=True):
        was, mean = float(before.mean[0, i]), float(after.mean[0, j])
        moves = not bool(after.constant[0, j])
        if bool(before.constant[0, i]) and (moves or abs(mean - was) > NEGLIGIBLE * max(abs(was), 1.0)):
            found.append(ChangedConstant(name, was, mean, float(np.sqrt(after.variance[0, j])) if moves else 0.0))
    return tuple(found)


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
            "arrays": {name: came._asdict() for name, came in self.arrays.items()},
            "optimizer": "kept" if self.optimizer else "fresh",
            "constant_in_source": [one._asdict() for one in self.changed_constants],
        }

    def lines(self) -> list[str]:
        """Returns the summary as lines of text."""
        copied, new, dropped = (sum(x) for x in zip(*self.arrays.values(), strict=True))
        told = [f"parameters: {copied} numbers copied, {new} new, {dropped} dropped"]
        if not self.plan.same:
            told += [_said("observation", self.plan.observation), _said("action", self.plan.action)]
        told += [f"optimizer: {'its state was copied' if self.optimizer else 'fresh'}"]
        if self.changed_constants:
            shown = map(str, self.changed_constants[:MAX_NAMED])
            more = (
                f", and {len(self.changed_constants) - MAX_NAMED} more"
                if len(self.changed_constants) > MAX_NAMED
                else ""
            )
            told += [f"constant in the source but not in the target: {', '.join(shown)}{more}"]
        return told

    def table(self) -> Table:
        """Returns a table of the arrays that were not copied completely."""
        table = Table("array", "copied", "new", "dropped", title="arrays that were not copied completely")
        for name, came in self.arrays.items():
            if came.new or came.dropped:
                table.add_row(name, *map(str, came))
        return table


def _said(what: str, match: SpaceMatch) -> str:
    if match.same:
        return f"{what}: the same"
    parts = (("copied", match.copied), ("new", match.new), ("dropped", match.dropped))
    return f"{what}: " + "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
