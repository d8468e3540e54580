"""The configuration of a study: tasks, rows, budgets, and the rows that every study has."""

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
from headstart.protocol.checks import MAX_AT_ONCE, MAX_STEPS, check_budget, check_number, check_seeds, check_shots

MAX_SEEDS = 10_000  # a larger number is a mistake
ORACLE = Entry(
    "oracle", PPO, "control", "nothing", True, "learns the target with all the steps of both domains", "oracle"
)
RANDOM = Entry("random", Uniform, "control", "nothing", False, "acts at random", "random")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """The configuration of a study: task strings, rows, budgets. Raises InputError if it is invalid."""

    source: str
    target: str
    methods: tuple[str, ...]
    ensemble: str | None = None
    source_steps: int = 1_000_000  # environment steps in the source
    target_steps: int = 200_000  # environment steps in the target
    shots: tuple[int, ...] = (0, 1, 10, 100)  # target episodes after which the policy is evaluated
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    num_evals: int = 12  # evaluations after the shots
    eval_episodes: int = 10  # episodes of each evaluation
    threshold: float | None = None  # return that counts as solved; None: derived from the references
    oracle: bool = True  # whether to train on the target with the steps of both domains
    physics: str = "auto"
    learner: str | None = None  # base learner of every row, such as sac; None: each method's own
    reference: str = SCRATCH  # control of all rows; scratch: the scratch row with the same base learner

    def __post_init__(self) -> None:
        for name in ("source_steps", "target_steps", "num_evals", "eval_episodes"):
            most = MAX_STEPS if name.endswith("steps") else MAX_AT_ONCE
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
        # Equal studies have equal configurations: no duplicates, and shots in ascending order.
        once = {"methods": self.methods, "seeds": self.seeds, "shots": sorted(self.shots)}
        for name, values in once.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(values)))

    def rows(self) -> list[tuple[Entry, Method]]:
        """Returns the rows in the order in which they run, including those that every study has.

        Raises InputError for unknown methods, and for methods that need an ensemble if there is none.
        """
        learner = None if self.learner is None else find_learner(self.learner)
        rows = []
        for text in dict.fromkeys(("naive", "scratch", *self.methods)):
            entry, method = find(text, learner)
            role = entry.role if text == entry.name else "method"  # `scratch:hidden=8` is compared like any method
            rows.append((dataclasses.replace(entry, name=row_name(text), role=role), method))
        names = [entry.name for entry, _ in rows]
        if row_name(self.reference) not in names:
            raise InputError(
                f"--reference {self.reference} is not a row of this study; choose one of {', '.join(names)}."
            )
        for entry, _ in rows:
            if entry.learns_on == "ensemble" and self.ensemble is None:
                raise InputError(
                    f"{entry.name} trains on an ensemble; name one, such as --ensemble {self.source}@NAME=LOW..HIGH."
                )
        ceiling = [(ORACLE, learner or PPO())] if self.oracle else []
        scratch = next(entry for entry, _ in rows if entry.name == SCRATCH)
        more = added_references(rows, scratch, ORACLE if self.oracle else None) if self.reference == SCRATCH else []
        return [(RANDOM, Uniform()), *rows, *ceiling, *more]


def study_config(source: str, target: str, methods: Any, ensemble: str | None, others: dict[str, Any]) -> StudyConfig:
    """Returns a StudyConfig from Python arguments: lists become tuples, and a number of seeds the first N seeds.

    Raises InputError if one of `others` is not a field, or a method is not a string.
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
        raise InputError(f"{methods!r} are not methods; give strings, such as ['scratch', 'epopt:epsilon=.2'].")
    others = {name: tuple(x) if isinstance(x, list | range) else x for name, x in others.items()}
    if isinstance(count := others.get("seeds"), int | float | np.number):
        check_budget("seeds", count, most=MAX_SEEDS)
        others["seeds"] = tuple(range(int(count)))
    if isinstance(others.get("learner"), Method):
        others["learner"] = method_string(others["learner"])
    for name in ("learner", "reference", "physics"):
        if not isinstance(others.get(name, ""), str | None):
            raise InputError(f"{name} is {others[name]!r}; give it as a string, as on the command line.")
    return StudyConfig(source, target, tuple(rows), ensemble, **others)


def row_name(text: str) -> str:
    """Returns the name of a row, for folders and tables, from a method string."""
    return text.replace(":", " ").replace("=", "-")
