"""What came along when knowledge was loaded, as people read it: what was copied, what is new, what was dropped."""

from typing import Any, NamedTuple

from rich.table import Table

from headstart.core.moving import Came, Match, Plan


class Moved(NamedTuple):
    """How knowledge came into a target, and what became of it there."""

    plan: Plan
    arrays: dict[str, Came]  # by name, in numbers
    optimizer: bool  # whether its moments came along

    @property
    def data(self) -> dict[str, Any]:
        """As plain data."""
        spaces = {"observation": self.plan.observation, "action": self.plan.action}
        return {
            **{what: {"copied": m.copied, "new": m.new, "dropped": m.dropped} for what, m in spaces.items()},
            "arrays": {name: came._asdict() for name, came in self.arrays.items()},
            "optimizer": "kept" if self.optimizer else "fresh",
        }

    def lines(self) -> list[str]:
        """-> what there is to say of it, a sentence each."""
        copied, new, dropped = (sum(x) for x in zip(*self.arrays.values(), strict=True))
        told = [f"knowledge: {copied} numbers copied, {new} new, {dropped} dropped"]
        if not self.plan.same:
            told += [_said("observation", self.plan.observation), _said("action", self.plan.action)]
        return [*told, f"optimizer: {'its moments came along' if self.optimizer else 'fresh'}"]

    def table(self) -> Table:
        """-> of each array that did not come along whole, what became of it."""
        table = Table("array", "copied", "new", "dropped", title="what did not come along whole")
        for name, came in self.arrays.items():
            if came.new or came.dropped:
                table.add_row(name, *map(str, came))
        return table


def _said(what: str, match: Match) -> str:
    if match.same:
        return f"{what}: the same"
    parts = (("copied", match.copied), ("new", match.new), ("dropped", match.dropped))
    return f"{what}: " + "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
