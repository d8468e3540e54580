"""A study's question: the tasks, the rows, the budgets, and the rows that every study has."""

import dataclasses
import difflib
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods import Entry
from headstart.methods.strings import find, find_learner, method_string
from headstart.protocol.baselines import SCRATCH, added_references
from headstart.protocol.checks import AT_ONCE, MOST, check_budget, check_number, check_seeds, check_shots

MOST_SEEDS = 10_000  # more than that was meant to be something else
ORACLE = Entry(
    "oracle", PPO, "control", "nothing", True, "learns the target with all the steps of both domains", "oracle"
)
RANDOM = Entry("random", Uniform, "control", "nothing", False, "acts at random", "random")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """What is asked: the tasks as strings, the rows, the budgets. Raises InputError where it makes no sense."""

    source: str
    target: str
    methods: tuple[str, ...]
    ensemble: str | None = None
    source_steps: int = 1_000_000  # environment steps before the target is seen
    target_steps: int = 200_000  # environment steps in the target
    shots: tuple[int, ...] = (0, 1, 10, 100)  # numbers of target episodes after which is judged
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    num_evals: int = 12  # points of a curve after the shots
    eval_episodes: int = 10  # episodes that a point is judged by
    threshold: float | None = None  # return that counts as solved; None: from the references
    oracle: bool = True  # whether to learn the target with the full budget, as a ceiling
    physics: str = "auto"
    learner: str | None = None  # what every row learns by, such as sac; None: each method's own, which is PPO
    reference: str = SCRATCH  # the row that the verdicts are against; scratch: each row's own, by what it learns by

    def __post_init__(self) -> None:
        for name in ("source_steps", "target_steps", "num_evals", "eval_episodes"):
            most = MOST if name.endswith("steps") else AT_ONCE
            flag = "--evals" if name == "num_evals" else "--" + name.replace("_", "-")
            check_budget(flag, getattr(self, name), most=most)
        check_shots("--shots", self.shots)
        check_seeds("--seeds", self.seeds)
        if not self.seeds:
            raise InputError("A study needs at least one seed; write --seeds 5.")
        if not self.methods:
            raise InputError("A study needs at least one method; write --methods scratch,naive,finetune.")
        if self.threshold is not None:
            check_number("--threshold", self.threshold)
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
            role = entry.role if text == entry.name else "method"  # `scratch:hidden=8` is compared like any method
            rows.append((dataclasses.replace(entry, name=row_name(text), role=role), method))
        names = [entry.name for entry, _ in rows]
        if row_name(self.reference) not in names:
            raise InputError(f"--reference {self.reference} is no row of this study; choose one of {', '.join(names)}.")
        for entry, _ in rows:
            if entry.learns_on == "ensemble" and self.ensemble is None:
                raise InputError(
                    f"{entry.name} learns on an ensemble; name one, such as --ensemble {self.source}@NAME=LOW..HIGH."
                )
        ceiling = [(ORACLE, learner or PPO())] if self.oracle else []
        scratch = next(entry for entry, _ in rows if entry.name == SCRATCH)
        more = added_references(rows, scratch, ORACLE if self.oracle else None) if self.reference == SCRATCH else []
        return [(RANDOM, Uniform()), *rows, *ceiling, *more]


def study_config(source: str, target: str, methods: Any, ensemble: str | None, others: dict[str, Any]) -> StudyConfig:
    """Returns the question that Python's arguments ask: lists as tuples, a number of seeds as the first so many.

    Methods may be given as objects; they are written as strings. Raises InputError where one of `others` is no field of
    a question, or a method is neither a string nor a Method that can be written as one.
    """
    known = [field.name for field in dataclasses.fields(StudyConfig)]
    for name in others:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise InputError(f"A study has no {name}; did you mean {near[0]}?")
    methods = [methods] if isinstance(methods, Method) else methods
    rows = [name.strip() for name in methods.split(",")] if isinstance(methods, str) else methods
    if isinstance(rows, list | tuple):
        rows = [method_string(row) if isinstance(row, Method) else row for row in rows]
    if not isinstance(rows, list | tuple) or not all(isinstance(row, str) for row in rows):
        raise InputError(f"{methods!r} are no rows; give methods as strings, such as ['scratch', 'epopt:epsilon=.2'].")
    others = {name: tuple(x) if isinstance(x, list | range) else x for name, x in others.items()}
    if isinstance(count := others.get("seeds"), int | float | np.number):
        check_budget("seeds", count, most=MOST_SEEDS)
        others["seeds"] = tuple(range(int(count)))
    if isinstance(others.get("learner"), Method):
        others["learner"] = method_string(others["learner"])
    for name in ("learner", "reference", "physics"):
        if not isinstance(others.get(name, ""), str | None):
            raise InputError(f"{name} is {others[name]!r}; give it as a string, as on the command line.")
    return StudyConfig(source, target, tuple(rows), ensemble, **others)


def row_name(text: str) -> str:
    """-> a method's text as a name for folders and tables."""
    return text.replace(":", " ").replace("=", "-")
