"""A study's question: the tasks, the rows, the budgets, and the rows that every study has."""

import dataclasses
import math

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods import Entry
from headstart.methods.strings import find, find_learner
from headstart.protocol.checks import check_budget, check_seeds, check_shots

ORACLE = Entry("oracle", PPO, "control", "nothing", True, "learns the target with all the steps of both domains")
RANDOM = Entry("random", Uniform, "control", "nothing", False, "acts at random")


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked: the tasks as strings, the rows, the budgets. Raises InputError where it makes no sense."""

    source: str
    target: str
    methods: tuple[str, ...]
    ensemble: str | None = None
    source_steps: int = 1_000_000  # environment steps before the target is seen
    target_steps: int = 200_000  # environment steps in the target
    shots: tuple[int, ...] = (0, 1, 10, 100)  # numbers of target episodes after which is judged
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    points: int = 12  # points of a curve after the shots
    judged: int = 10  # episodes that a point is judged by
    threshold: float | None = None  # return that counts as solved; None: from the references
    oracle: bool = True  # whether to learn the target with the full budget, as a ceiling
    physics: str = "auto"
    learner: str | None = None  # what every row learns by, such as sac; None: each method's own, which is PPO
    reference: str = "scratch"  # the row that the verdicts are against

    def __post_init__(self) -> None:
        for name, least in (("source_steps", 1), ("target_steps", 1), ("points", 1), ("judged", 1)):
            check_budget("--" + name.replace("_", "-"), getattr(self, name), least)
        check_shots("--shots", self.shots)
        check_seeds("--seeds", self.seeds)
        if not self.seeds:
            raise InputError("A study needs at least one seed; write --seeds 5.")
        if not self.methods:
            raise InputError("A study needs at least one method; write --methods scratch,naive,finetune.")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise InputError(f"--threshold is {self.threshold}; write a finite return, or leave it out.")
        # One question, however it is written: nothing twice, and shots in the order in which they are spent.
        once = {"methods": self.methods, "seeds": self.seeds, "shots": sorted(self.shots)}
        for name, values in once.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(values)))

    def rows(self) -> list[tuple[Entry, Method]]:
        """-> the rows in the order they are run, with those that every study has.

        Raises InputError for methods that there are not, and for those that need an ensemble where none is named.
        """
        learner = None if self.learner is None else find_learner(self.learner)
        rows = []
        for text in dict.fromkeys(("naive", "scratch", *self.methods)):
            entry, method = find(text, learner)
            rows.append((dataclasses.replace(entry, name=row_name(text)), method))
        names = [entry.name for entry, _ in rows]
        if row_name(self.reference) not in names:
            raise InputError(f"--reference {self.reference} is no row of this study; choose one of {', '.join(names)}.")
        for entry, _ in rows:
            if entry.learns_on == "ensemble" and self.ensemble is None:
                raise InputError(
                    f"{entry.name} learns on an ensemble; name one, such as --ensemble {self.source}@NAME=LOW..HIGH."
                )
        ceiling = [(ORACLE, learner or PPO())] if self.oracle else []
        return [(RANDOM, Uniform()), *rows, *ceiling]


def row_name(text: str) -> str:
    """-> a method's text as a name for folders and tables."""
    return text.replace(":", " ").replace("=", "-")
