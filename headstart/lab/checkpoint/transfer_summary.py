"""What came along when knowledge was loaded, as people read it: what was copied, what is new, what was dropped."""

from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from headstart.core.space_matching import ArrayTransfer, Plan, SpaceMatch
from headstart.core.types import Params
from headstart.nets.running_statistics import NEGLIGIBLE, RunningMeanStd

NAMED = 8  # components that a sentence names


class Woken(NamedTuple):
    """A number that was constant in the source, and is another one or varies in the target."""

    name: str
    source: float
    target: float  # its mean
    spread: float  # its standard deviation there

    def __str__(self) -> str:
        varies = f" ± {self.spread:.3g}" if self.spread else ""
        return f"{self.name} ({self.source:.6g} there, {self.target:.6g}{varies} here)"


def woken(plan: Plan, source: Params, target: Params) -> tuple[Woken, ...]:
    """Returns which observed numbers were constant in the source and are no longer; told by the normalisers [seed].

    Empty where nothing is normalised, and where a method holds the source's statistics still.
    """
    before, after = source.get("normalizer"), target.get("normalizer")
    if not isinstance(before, RunningMeanStd) or not isinstance(after, RunningMeanStd):
        return ()
    found = []
    for name, i, j in zip(plan.observation.copied, *plan.observation.places, strict=True):
        was, mean = float(before.mean[0, i]), float(after.mean[0, j])
        moves = not bool(after.constant[0, j])
        if bool(before.constant[0, i]) and (moves or abs(mean - was) > NEGLIGIBLE * max(abs(was), 1.0)):
            found.append(Woken(name, was, mean, float(np.sqrt(after.variance[0, j])) if moves else 0.0))
    return tuple(found)


class Moved(NamedTuple):
    """How knowledge came into a target, and what became of it there."""

    plan: Plan
    arrays: dict[str, ArrayTransfer]  # by name, in numbers
    optimizer: bool  # whether its moments came along
    woken: tuple[Woken, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """As plain data."""
        spaces = {"observation": self.plan.observation, "action": self.plan.action}
        return {
            **{what: {"copied": m.copied, "new": m.new, "dropped": m.dropped} for what, m in spaces.items()},
            "arrays": {name: came._asdict() for name, came in self.arrays.items()},
            "optimizer": "kept" if self.optimizer else "fresh",
            "constant_in_source": [one._asdict() for one in self.woken],
        }

    def lines(self) -> list[str]:
        """-> what there is to say of it, a sentence each."""
        copied, new, dropped = (sum(x) for x in zip(*self.arrays.values(), strict=True))
        told = [f"knowledge: {copied} numbers copied, {new} new, {dropped} dropped"]
        if not self.plan.same:
            told += [_said("observation", self.plan.observation), _said("action", self.plan.action)]
        told += [f"optimizer: {'its moments came along' if self.optimizer else 'fresh'}"]
        if self.woken:
            more = f", and {len(self.woken) - NAMED} more" if len(self.woken) > NAMED else ""
            told += [f"constant in the source, but not in the target: {', '.join(map(str, self.woken[:NAMED]))}{more}"]
        return told

    def table(self) -> Table:
        """-> of each array that did not come along whole, what became of it."""
        table = Table("array", "copied", "new", "dropped", title="what did not come along whole")
        for name, came in self.arrays.items():
            if came.new or came.dropped:
                table.add_row(name, *map(str, came))
        return table


def _said(what: str, match: SpaceMatch) -> str:
    if match.same:
        return f"{what}: the same"
    parts = (("copied", match.copied), ("new", match.new), ("dropped", match.dropped))
    return f"{what}: " + "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
